#pragma once
#include "runtime/error.h"
#include "runtime/tensor.h"

/// Declares a kernel in both backends: pal::cpu and pal::cuda have the same signatures. A build
/// without CUDA never calls the second.
#define PAL_KERNEL(...) \
  namespace cpu {       \
  __VA_ARGS__;          \
  }                     \
  namespace cuda {      \
  __VA_ARGS__;          \
  }

/// Calls a kernel of the backend that holds `tensor`: PAL_BACKEND(x, haar_analyse(x, y, 0.25)). On
/// a meta device it does nothing and returns a default value.
#ifdef PAL_CUDA
#define PAL_BACKEND(tensor, ...)                                      \
  ((tensor).device().meta       ? decltype(::pal::cpu::__VA_ARGS__)() \
   : (tensor).device().is_cpu() ? ::pal::cpu::__VA_ARGS__             \
                                : ::pal::cuda::__VA_ARGS__)
#else
#define PAL_BACKEND(tensor, ...)                                                                 \
  ((tensor).device().meta       ? decltype(::pal::cpu::__VA_ARGS__)()                            \
   : (tensor).device().is_cpu() ? ::pal::cpu::__VA_ARGS__                                        \
                                : throw ::pal::Error(::pal::ErrorKind::environment, #__VA_ARGS__ \
                                                     ": this build has no CUDA backend"))
#endif

namespace pal {

/// Calls body(T{}) with T the float or double of a tensor of the stream; throws usage otherwise.
template <typename Body>
void dispatch_real(const char* op, DType dtype, Body&& body) {
  if (dtype == DType::f32) return body(float{});
  if (dtype == DType::f64) return body(double{});
  fail(ErrorKind::usage, "{}: expected f32 or f64, got {}", op, name_of(dtype));
}

/// Calls body(T{}) with T the float, double or bfloat16 of a tensor inside subnets, where bf16 is
/// allowed too; throws usage otherwise.
template <typename Body>
void dispatch_floating(const char* op, DType dtype, Body&& body) {
  if (dtype == DType::bf16) return body(bfloat16{});
  dispatch_real(op, dtype, body);
}

/// Arithmetic type of a storage type: bf16 computes in float. Compute<T> names it.
template <typename T>
struct compute_type {
  using type = T;
};
template <>
struct compute_type<bfloat16> {
  using type = float;
};
template <typename T>
using Compute = typename compute_type<T>::type;

}  // namespace pal
