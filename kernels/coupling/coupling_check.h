#pragma once
#include <utility>

#include "kernels/common/check.h"
#include "kernels/coupling/coupling.h"

// What the coupling kernels of both backends ask of their arguments.
namespace pal::coupling {

/// The shapes that all coupling kernels share; undefined halves are not looked at.
inline void check(const char* op, const Tensor& factors, const Tensor& active,
                  const Tensor& passive, const Tensor& y, const OutputMap& map) {
  expect(factors.rank() == 4 && factors.size(0) > 0 && factors.channels() % 2 == 0,
         "{}: expected a [n > 0, h, w, 2 c], got {}", op, factors.shape().str());
  const int64_t half = factors.channels() / 2;
  const int64_t channels = y.channels();
  expect(y.shape() == factors.shape().with_last(channels) && channels >= half,
         "{}: y {} does not fit a {}", op, y.shape().str(), factors.shape().str());
  expect(!active.defined() || active.shape() == factors.shape().with_last(half),
         "{}: active half {} does not fit a {}", op, active.shape().str(), factors.shape().str());
  expect(!passive.defined() || passive.shape() == factors.shape().with_last(channels - half),
         "{}: passive half {} does not fit a {} and y {}", op, passive.shape().str(),
         factors.shape().str(), y.shape().str());
  expect(map.scale.defined() == map.offset.defined() &&
             (!map.scale.defined() ||
              (map.scale.numel() == channels && map.offset.numel() == channels)),
         "{}: expected scale and offset of {} channels", op, channels);
  expect(map.index.defined() == map.inverse_index.defined() &&
             (!map.index.defined() ||
              (map.index.numel() == channels && map.inverse_index.numel() == channels)),
         "{}: expected index and inverse index of {} channels", op, channels);
}

inline void check_grads(const char* op, const Tensor& factors, const Tensor& grad_y,
                        const Tensor& grad_log_det, const CouplingGrads& grads) {
  expect_tensor(op, "grad_log_det", grad_log_det, {factors.size(0)}, DType::f64);
  expect_tensor(op, "grad_a", grads.factors, factors.shape(), factors.dtype());
  expect_shape(op, "grad_active", grads.active, factors.shape().with_last(factors.channels() / 2));
  for (const auto& [name, grad] :
       {std::pair{"grad_scale", grads.scale}, {"grad_offset", grads.offset}})
    if (grads.scale.defined()) expect_shape(op, name, grad, {grad_y.channels()});
  if (grads.log_s.defined()) expect_shape(op, "grad_log_s", grads.log_s, {factors.size(0)});
  if (grads.factor_sums.defined())
    expect_shape(op, "factor_sums", grads.factor_sums, {factors.channels()});
}

inline void check_forward(const Tensor& active, const Tensor& passive, const Tensor& factors,
                          const OutputMap& map, const Tensor& y, const Tensor& log_det) {
  check("coupling_forward", factors, active, passive, y, map);
  expect_shape("coupling_forward", "log_det", log_det, {factors.size(0)});
  if (map.log_scale_sum.defined())
    expect_tensor("coupling_forward", "log_scale_sum", map.log_scale_sum, {1}, DType::f64);
}

inline void check_inverse(const Tensor& y, const Tensor& factors, const OutputMap& map,
                          const Tensor& active, const Tensor& log_det) {
  check("coupling_inverse", factors, active, {}, y, map);
  if (log_det.defined()) expect_shape("coupling_inverse", "log_det", log_det, {factors.size(0)});
}

inline void check_inverse_passive(const Tensor& y, const Tensor& passive) {
  expect(y.shape() == passive.shape().with_last(y.channels()) && passive.channels() <= y.channels(),
         "coupling_inverse_passive: {} does not fit y {}", passive.shape().str(), y.shape().str());
}

inline void check_inverse_backward(const Tensor& y, const Tensor& grad_y,
                                   const Tensor& grad_log_det, const Tensor& factors,
                                   const OutputMap& map, const Tensor& active,
                                   const CouplingGrads& grads) {
  check("coupling_inverse_backward", factors, active, grads.passive, y, map);
  expect_shape("coupling_inverse_backward", "grad_y", grad_y, y.shape());
  check_grads("coupling_inverse_backward", factors, grad_y, grad_log_det, grads);
}

inline void check_backward(const Tensor& active, const Tensor& passive, const Tensor& grad_y,
                           const Tensor& grad_log_det, const Tensor& factors, const OutputMap& map,
                           const CouplingGrads& grads) {
  check("coupling_backward", factors, active, passive, grad_y, map);
  check_grads("coupling_backward", factors, grad_y, grad_log_det, grads);
}

// Bytes that a call moves. Where channels are permuted, the halves of a pixel lie mixed in its row of
// y, so both steps of the inverse read whole rows. It makes no difference whether the second step
// reads y again or the active half that the first one put aside: that would be written and read.

inline int64_t inverse_passive_bytes(const Tensor& y, const OutputMap& map, const Tensor& passive) {
  return (map.index.defined() ? y.bytes() : passive.bytes()) + passive.bytes();
}

inline int64_t inverse_bytes(const Tensor& y, const Tensor& factors, const OutputMap& map,
                             const Tensor& active) {
  return (map.index.defined() ? y.bytes() : active.bytes()) + active.bytes() + factors.bytes();
}

inline void check_mean_log_s(const Tensor& factors, const Tensor& mean) {
  expect(factors.rank() == 4 && factors.size(0) > 0 && mean.numel() == factors.size(0),
         "coupling_mean_log_s: expected a [n > 0, h, w, 2 c] and mean [n], got {}",
         factors.shape().str());
}

inline void check_mean_log_s_backward(const Tensor& factors, const Tensor& grad_log_s,
                                      const Tensor& grad_factors) {
  expect(grad_factors.shape() == factors.shape() && grad_log_s.numel() == factors.size(0),
         "coupling_mean_log_s_backward: expected gradients like a {}", factors.shape().str());
}

/// The dtype of the stream that factors of this dtype belong to: bf16 subnets serve an f32 stream.
inline DType stream_of(DType factors) { return factors == DType::bf16 ? DType::f32 : factors; }

/// Throws usage for dtypes of the stream and the factors that have no kernel.
[[noreturn]] inline void fail_pair(const char* op, DType stream, DType factors) {
  fail(ErrorKind::usage, "{}: no kernel for a stream of {} and a subnet output of {}", op,
       name_of(stream), name_of(factors));
}

/// Calls body(T{}, F{}) with the types of the stream and of the factors; throws usage for a pair
/// that has no kernel.
template <typename Body>
void dispatch_pair(const char* op, DType stream, DType factors, Body&& body) {
  if (stream == DType::f32 && factors == DType::f32) return body(float{}, float{});
  if (stream == DType::f32 && factors == DType::bf16) return body(float{}, bfloat16{});
  if (stream == DType::f64 && factors == DType::f64) return body(double{}, double{});
  fail_pair(op, stream, factors);
}

}  // namespace pal::coupling
