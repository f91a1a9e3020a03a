#pragma once
#include "kernels/common/block.cuh"
#include "kernels/loss/softmax_math.h"

// Kernels over rows of class scores: a block takes a row at a time. Rows are few and exponentials
// in double dear, so a block is small.
namespace pal::cuda {

/// Threads of a block.
inline constexpr int kRowThreads = 128;

/// Calls body(y) for the thread's share of the classes of a row.
template <typename Body>
__device__ inline void for_each_class(int64_t classes, Body&& body) {
  for (int64_t y = threadIdx.x; y < classes; y += kRowThreads) body(y);
}

/// softmax_math::log_sum_exp of a row, in every thread of the block; all must call it.
__device__ inline double row_log_sum_exp(const float* scores, int64_t classes) {
  double largest = static_cast<double>(scores[0]);
  for_each_class(classes, [&](int64_t y) {
    const auto score = static_cast<double>(scores[y]);
    if (score > largest) largest = score;
  });
  largest = block_max<kRowThreads>(largest);
  double sum = 0.0;
  for_each_class(classes, [&](int64_t y) { sum += softmax_math::shifted_exp(scores[y], largest); });
  return softmax_math::log_sum_exp(largest, block_sum<kRowThreads>(sum));
}

}  // namespace pal::cuda
