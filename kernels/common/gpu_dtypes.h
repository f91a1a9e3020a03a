#pragma once
#include "kernels/common/backend.h"

// Storage types of the CUDA kernels: the stream is f32 there, bf16 only inside subnets.
namespace pal {

/// Throws usage if `dtype` is f64.
inline void refuse_f64(const char* op, DType dtype) {
  expect(dtype != DType::f64, "{}: f64 streams are for the CPU backend", op);
}

/// Throws usage unless `dtype`, that of a stream, is f32.
inline void expect_gpu_stream(const char* op, DType dtype) {
  refuse_f64(op, dtype);
  dispatch_real(op, dtype, [](auto) {});
}

/// Calls body(T{}) with T float or bfloat16; throws usage for other dtypes.
template <typename Body>
void dispatch_gpu(const char* op, DType dtype, Body&& body) {
  if (dtype == DType::bf16) return body(bfloat16{});
  expect_gpu_stream(op, dtype);
  body(float{});
}

}  // namespace pal
