#pragma once
#include "kernels/common/backend.h"

namespace pal {

/// Most elements of a part of convert_parts.
inline constexpr int64_t kMostPart = 4096;

/// Copies parts of a buffer to other places of another one, rounding f32 to bf16: row i of `parts`,
/// i32 [count, 3], says where the i-th part begins in `from`, f32 [any], and in `to`, bf16 [any],
/// and how many elements it has, at most kMostPart. Parts do not overlap in `to`; the rest of it
/// stays as it is.
PAL_KERNEL(void convert_parts(const Tensor& from, const Tensor& parts, const Tensor& to))

}  // namespace pal
