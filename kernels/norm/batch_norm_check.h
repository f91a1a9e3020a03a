#pragma once
#include <initializer_list>
#include <limits>

#include "kernels/common/check.h"
#include "kernels/norm/batch_norm.h"

// What the batch norm kernels of both backends ask of their arguments.
namespace pal {

inline void check_batch_statistics(const char* op, const Tensor& x,
                                   std::initializer_list<Tensor> per_channel) {
  for (const Tensor& each : per_channel)
    expect(x.rows() > 0 && each.numel() == x.channels(),
           "{}: expected rows and {} channels, got {}", op, x.channels(), x.shape().str());
}

inline void check_batch_norm_statistics(const Tensor& x, const BatchStatistics& s) {
  check_batch_statistics("batch_norm_statistics", x,
                         {s.mean, s.inv_std, s.running_mean, s.running_var});
}

/// For kernels that add the two sums of a part of the rows.
inline void check_batch_norm_sums(const char* op, const Tensor& x, const Tensor& sums) {
  expect(x.rows() > 0, "{}: expected at least one row, got {}", op, x.shape().str());
  expect_tensor(op, "sums", sums, {2, x.channels()}, DType::f64);
}

inline void check_batch_norm_statistics_of(const Tensor& sums, const Tensor& shift, int64_t rows,
                                           const BatchStatistics& s) {
  expect(rows > 0, "batch_norm_statistics_of: expected at least one row");
  expect_tensor("batch_norm_statistics_of", "sums", sums, {2, shift.numel()}, DType::f64);
  for (const Tensor& each : {s.mean, s.inv_std, s.running_mean, s.running_var})
    expect(each.numel() == shift.numel(), "batch_norm_statistics_of: expected {} channels, got {}",
           shift.numel(), each.shape().str());
}

inline void check_batch_norm_part(const Tensor& sums, const Tensor& shift, int64_t rows,
                                  const Tensor& part) {
  expect(rows > 0, "batch_norm_part: expected at least one row");
  expect_tensor("batch_norm_part", "sums", sums, {2, shift.numel()}, DType::f64);
  expect_tensor("batch_norm_part", "part", part, {2 * shift.numel() + 1}, DType::f64);
}

inline void check_batch_norm_combine(const Tensor& parts, const BatchStatistics& s) {
  const int64_t channels = s.mean.numel();
  expect(parts.rows() > 0, "batch_norm_combine: expected at least one part");
  expect_tensor("batch_norm_combine", "parts", parts, {parts.rows(), 2 * channels + 1}, DType::f64);
  expect_dense("batch_norm_combine", "parts", parts);
  for (const Tensor& each : {s.inv_std, s.running_mean, s.running_var})
    expect(each.numel() == channels, "batch_norm_combine: expected {} channels, got {}", channels,
           each.shape().str());
}

inline void check_batch_norm_scale_sums(const Tensor& totals, int64_t rows) {
  expect(rows > 0, "batch_norm_scale_sums: expected at least one row");
  expect(totals.rank() == 1 && totals.numel() % 2 == 1 && totals.dtype() == DType::f64,
         "batch_norm_scale_sums: expected f64 totals of 2 channels + 1, got {}",
         totals.shape().str());
}

inline void check_inverse_deviation(const Tensor& variance, const Tensor& inv_std) {
  expect_tensor("inverse_deviation", "inv_std", inv_std, variance.shape(), variance.dtype());
}

inline void check_batch_norm(const char* op, const Tensor& x, const Tensor& y,
                             const BatchNormArgs& args) {
  const int64_t channels = x.channels();
  expect(x.rows() > 0, "{}: expected at least one row, got {}", op, x.shape().str());
  expect(y.shape() == x.shape(), "{}: expected {}, got {}", op, x.shape().str(), y.shape().str());
  expect(args.mean.numel() == channels && args.inv_std.numel() == channels &&
             args.weight.numel() == channels && args.bias.numel() == channels,
         "{}: expected parameters of {} channels", op, channels);
}

inline void check_batch_norm_backward(const Tensor& x, const Tensor& grad_y,
                                      const BatchNormArgs& args, const BatchNormGrads& grads) {
  check_batch_norm("batch_norm_backward", x, grad_y, args);
  expect(!grads.x.defined() || (grads.x.shape() == x.shape() && grads.x.dtype() == x.dtype()),
         "batch_norm_backward: expected grad_x like x {}", x.shape().str());
  for (const Tensor& grad : {grads.weight, grads.bias})
    expect(!grad.defined() || grad.numel() == x.channels(),
           "batch_norm_backward: expected gradients of {} channels, got {}", x.channels(),
           grad.shape().str());
}

/// Calls body(X{}, Y{}) with the types of x and of y, f32 or bf16 (parameters are f32 then); throws
/// usage for a pair without a kernel.
template <typename Body>
void dispatch_batch_norm(const char* op, DType x, DType y, Body&& body) {
  if (x == DType::f32 && y == DType::f32) return body(float{}, float{});
  if (x == DType::f32 && y == DType::bf16) return body(float{}, bfloat16{});
  if (x == DType::bf16 && y == DType::bf16) return body(bfloat16{}, bfloat16{});
  fail(ErrorKind::usage, "{}: no kernel for x of {} and y of {}", op, name_of(x), name_of(y));
}

/// The least result of a batch norm, `floor` in batch_norm_math.h.
template <typename Real>
Real least_result(bool relu) {
  return relu ? Real{0} : -std::numeric_limits<Real>::infinity();
}

}  // namespace pal
