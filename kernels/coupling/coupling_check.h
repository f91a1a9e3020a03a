#pragma once
#include <utility>

#include "kernels/common/check.h"
#include "kernels/coupling/coupling.h"

// What the coupling kernels of both backends ask of their arguments.
namespace pal::coupling {

inline void check(const char* op, const Tensor& a, const Tensor& active, const Tensor& passive,
                  const Tensor& y, const CouplingOutput& output) {
  expect(a.rank() == 4 && a.size(0) > 0 && a.channels() % 2 == 0,
         "{}: expected a [n > 0, h, w, 2 c], got {}", op, a.shape().str());
  const int64_t half = a.channels() / 2;
  const int64_t channels = y.channels();
  expect(y.shape() == a.shape().with_last(channels) && channels >= half,
         "{}: y {} does not fit a {}", op, y.shape().str(), a.shape().str());
  expect(!active.defined() || active.shape() == a.shape().with_last(half),
         "{}: active half {} does not fit a {}", op, active.shape().str(), a.shape().str());
  expect(!passive.defined() || passive.shape() == a.shape().with_last(channels - half),
         "{}: passive half {} does not fit a {} and y {}", op, passive.shape().str(),
         a.shape().str(), y.shape().str());
  expect(output.scale.defined() == output.offset.defined() &&
             (!output.scale.defined() ||
              (output.scale.numel() == channels && output.offset.numel() == channels)),
         "{}: expected scale and offset of {} channels", op, channels);
  expect(output.index.defined() == output.inverse_index.defined() &&
             (!output.index.defined() ||
              (output.index.numel() == channels && output.inverse_index.numel() == channels)),
         "{}: expected index and inverse index of {} channels", op, channels);
}

inline void check_grads(const char* op, const Tensor& a, const Tensor& grad_y,
                        const Tensor& grad_log_det, const CouplingGrads& grads) {
  expect_tensor(op, "grad_log_det", grad_log_det, {a.size(0)}, DType::f64);
  expect_tensor(op, "grad_a", grads.a, a.shape(), a.dtype());
  expect_shape(op, "grad_active", grads.active, a.shape().with_last(a.channels() / 2));
  for (const auto& [name, grad] :
       {std::pair{"grad_scale", grads.scale}, {"grad_offset", grads.offset}})
    if (grads.scale.defined()) expect_shape(op, name, grad, {grad_y.channels()});
  if (grads.log_s.defined()) expect_shape(op, "grad_log_s", grads.log_s, {a.size(0)});
}

inline void check_forward(const Tensor& active, const Tensor& passive, const Tensor& a,
                          const CouplingOutput& output, const Tensor& y, const Tensor& log_det) {
  check("coupling_forward", a, active, passive, y, output);
  expect_shape("coupling_forward", "log_det", log_det, {a.size(0)});
}

inline void check_inverse(const Tensor& y, const Tensor& a, const CouplingOutput& output,
                          const Tensor& active, const Tensor& log_det) {
  check("coupling_inverse", a, active, {}, y, output);
  if (log_det.defined()) expect_shape("coupling_inverse", "log_det", log_det, {a.size(0)});
}

inline void check_inverse_passive(const Tensor& y, const Tensor& passive) {
  expect(y.shape() == passive.shape().with_last(y.channels()) && passive.channels() <= y.channels(),
         "coupling_inverse_passive: {} does not fit y {}", passive.shape().str(), y.shape().str());
}

inline void check_inverse_backward(const Tensor& y, const Tensor& grad_y,
                                   const Tensor& grad_log_det, const Tensor& a,
                                   const CouplingOutput& output, const Tensor& active,
                                   const CouplingGrads& grads) {
  check("coupling_inverse_backward", a, active, grads.passive, y, output);
  expect_shape("coupling_inverse_backward", "grad_y", grad_y, y.shape());
  check_grads("coupling_inverse_backward", a, grad_y, grad_log_det, grads);
}

inline void check_backward(const Tensor& active, const Tensor& passive, const Tensor& grad_y,
                           const Tensor& grad_log_det, const Tensor& a,
                           const CouplingOutput& output, const CouplingGrads& grads) {
  check("coupling_backward", a, active, passive, grad_y, output);
  check_grads("coupling_backward", a, grad_y, grad_log_det, grads);
}

inline void check_mean_log_s(const Tensor& a, const Tensor& mean) {
  expect(a.rank() == 4 && a.size(0) > 0 && mean.numel() == a.size(0),
         "coupling_mean_log_s: expected a [n > 0, h, w, 2 c] and mean [n], got {}",
         a.shape().str());
}

inline void check_mean_log_s_backward(const Tensor& a, const Tensor& grad_log_s,
                                      const Tensor& grad_a) {
  expect(grad_a.shape() == a.shape() && grad_log_s.numel() == a.size(0),
         "coupling_mean_log_s_backward: expected gradients like a {}", a.shape().str());
}

/// The stream's dtype of a subnet output: bf16 subnets serve a float32 stream.
inline DType stream_of(DType a) { return a == DType::bf16 ? DType::f32 : a; }

[[noreturn]] inline void fail_pair(const char* op, DType stream, DType a) {
  fail(ErrorKind::usage, "{}: no kernel for a stream of {} and a subnet output of {}", op,
       name_of(stream), name_of(a));
}

/// Calls body with the stream's and the subnet output's types.
template <typename Body>
void dispatch_pair(const char* op, DType stream, DType a, Body&& body) {
  if (stream == DType::f32 && a == DType::f32) return body(float{}, float{});
  if (stream == DType::f32 && a == DType::bf16) return body(float{}, bfloat16{});
  if (stream == DType::f64 && a == DType::f64) return body(double{}, double{});
  fail_pair(op, stream, a);
}

}  // namespace pal::coupling
