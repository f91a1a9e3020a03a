#pragma once
#include "kernels/common/check.h"

namespace pal {

/// What permute_channels of both backends asks of its arguments.
inline void check_permute_channels(const Tensor& x, const Tensor& index, const Tensor& y) {
  expect_tensor("permute_channels", "y", y, x.shape(), x.dtype());
  expect_tensor("permute_channels", "index", index, {x.channels()}, DType::i32);
}

}  // namespace pal
