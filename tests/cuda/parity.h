#pragma once
#include <functional>
#include <string>
#include <vector>

#include "runtime/tensor.h"
#include "tests/support/numeric.h"

// What tests of the CUDA backend share. They run on a GPU, or on the CPU in the emulator.
namespace pal::test {

/// The device under test.
inline Device gpu() { return Device::cuda(0); }
inline Tensor on_gpu(const Tensor& tensor) { return tensor.to(gpu(), Tag::data); }
inline Tensor on_cpu(const Tensor& tensor) { return tensor.to(Device(), Tag::data); }

using testing::random_tensor;

/// The same values on the GPU, as a channel slice that begins `begin` channels into rows which are
/// `begin + after` channels wider: any alignment and pitch. What lies around it is NaN.
Tensor gpu_slice(const Tensor& values, int64_t begin, int64_t after);

/// Calls `body` under several orders of threads and blocks (in the emulator) and several limits of
/// the grid, and expects the same bits of all tensors it returns (on either device). Returns those
/// of the first call, on the CPU.
std::vector<Tensor> run_schedules(const std::function<std::vector<Tensor>()>& body);

/// Expects |found - wanted| <= tolerance * max(1, largest |wanted|) for all elements, equal shapes
/// and dtypes. Any device; a NaN matches a NaN only.
void expect_close(const Tensor& wanted, const Tensor& found, double tolerance,
                  const std::string& what);
/// Expects the same bits.
void expect_same(const Tensor& wanted, const Tensor& found, const std::string& what);

/// Relative rounding of a storage type that a kernel's result may show: 1e-5 for f32 (sums in
/// another order), 1e-2 for bf16 (one rounding of 2^-8 and a flip), 1e-12 for f64.
double tolerance_of(DType dtype);

}  // namespace pal::test
