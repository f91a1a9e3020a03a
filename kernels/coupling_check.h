#pragma once
#include "kernels/check.h"
#include "kernels/coupling.h"

// What the coupling kernels ask of their arguments.
namespace pal::cpu::coupling {

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

/// Calls body with the stream's and the subnet output's types.
template <typename Body>
void dispatch_pair(const char* op, DType stream, DType a, Body&& body) {
  if (stream == DType::f32 && a == DType::f32) return body(float{}, float{});
  if (stream == DType::f32 && a == DType::bf16) return body(float{}, bfloat16{});
  if (stream == DType::f64 && a == DType::f64) return body(double{}, double{});
  fail(ErrorKind::usage, "{}: no kernel for a stream of {} and a subnet output of {}", op,
       name_of(stream), name_of(a));
}

}  // namespace pal::cpu::coupling
