#pragma once
#include <span>
#include <vector>

#include "runtime/tensor.h"

// Between tensors on any device and plain arrays of doubles on the host, where small matrices and
// per-channel numbers are worked out.
namespace pal {

/// The values of a tensor of f32, f64 or bf16 on any device, row by row; waits for the device.
std::vector<double> host_values(const Tensor& tensor);

/// A dense tensor of f32 or f64 with these values rounded; tag and device are those of the
/// innermost scopes.
Tensor tensor_of(std::span<const double> values, const Shape& shape, DType dtype = DType::f32);

}  // namespace pal
