#pragma once
#include "runtime/error.h"
#include "runtime/tensor.h"

// Checks of kernel arguments. Each throws usage and names the kernel (`op`) and the argument
// (`name`).
namespace pal {

/// The tensor must be defined and have this shape.
inline void expect_shape(const char* op, const char* name, const Tensor& tensor,
                         const Shape& shape) {
  if (tensor.shape() != shape || !tensor.defined())
    fail(ErrorKind::usage, "{}: expected {} of shape {}, got {}", op, name, shape.str(),
         tensor.defined() ? tensor.shape().str() : "nothing");
}

/// The tensor must have this dtype.
inline void expect_dtype(const char* op, const char* name, const Tensor& tensor, DType dtype) {
  if (tensor.dtype() != dtype)
    fail(ErrorKind::usage, "{}: expected {} in {}, got {}", op, name, name_of(dtype),
         name_of(tensor.dtype()));
}

/// The tensor must be defined and have this shape and dtype.
inline void expect_tensor(const char* op, const char* name, const Tensor& tensor,
                          const Shape& shape, DType dtype) {
  expect_shape(op, name, tensor, shape);
  expect_dtype(op, name, tensor, dtype);
}

/// The tensor's rows must follow each other without gaps.
inline void expect_dense(const char* op, const char* name, const Tensor& tensor) {
  if (!tensor.is_dense())
    fail(ErrorKind::usage, "{}: expected dense {}, got a pitch of {} for {}", op, name,
         tensor.pitch(), tensor.shape().str());
}

/// The tensor must have this rank and at least one element.
inline void expect_rank(const char* op, const char* name, const Tensor& tensor, int rank) {
  if (tensor.rank() != rank || !tensor.defined() || tensor.numel() == 0)
    fail(ErrorKind::usage, "{}: expected a non-empty {} of rank {}, got {}", op, name, rank,
         tensor.defined() ? tensor.shape().str() : "nothing");
}

}  // namespace pal
