#pragma once
#include <vector>

#include "runtime/tensor.h"

namespace pal {

/// The values of a tensor of any floating type on any device, in double.
inline std::vector<double> to_doubles(const Tensor& t) {
  const Tensor values = t.to(Device()).to(DType::f64).dense();
  return {values.data<double>(), values.data<double>() + values.numel()};
}

}  // namespace pal
