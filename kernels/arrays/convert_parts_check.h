#pragma once
#include "kernels/arrays/convert_parts.h"
#include "kernels/common/check.h"

namespace pal {

/// What both backends ask of convert_parts' arguments.
inline void check_convert_parts(const Tensor& from, const Tensor& parts, const Tensor& to) {
  const char* op = "convert_parts";
  expect_rank(op, "from", from, 1);
  expect_dtype(op, "from", from, DType::f32);
  expect_rank(op, "to", to, 1);
  expect_dtype(op, "to", to, DType::bf16);
  expect_tensor(op, "parts", parts, {parts.size(0), 3}, DType::i32);
}

}  // namespace pal
