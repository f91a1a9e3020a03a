#pragma once
#include "runtime/parallel.h"
#include "runtime/tensor.h"

namespace pal {

/// Calls body(row, column, count) in parallel for runs of consecutive elements, of `row` from
/// `column` on, that together cover a tensor of the shape of `like`. `dense` says that all tensors
/// of the loop are dense: then the runs are long pieces of row 0, whatever the rows; else each run
/// is one row. For elementwise work only.
template <typename Body>
void for_each_run(const Tensor& like, bool dense, Body&& body) {
  const int64_t width = like.channels();
  if (dense) {
    parallel_for(like.numel(), 16384,
                 [&](int64_t begin, int64_t end) { body(int64_t{0}, begin, end - begin); });
    return;
  }
  parallel_for(like.rows(), row_grain(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row, int64_t{0}, width);
  });
}

}  // namespace pal
