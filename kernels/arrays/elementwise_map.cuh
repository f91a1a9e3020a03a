#pragma once
#include <initializer_list>

#include "kernels/common/items.cuh"

// Elementwise CUDA kernels over tensors of equal shape.
//
// A body says what is done: a structure of Matrix members with a function run<kWidth>(row, column)
// for kWidth neighbouring elements. It may have a function bool begin(), which each thread calls
// first; if that returns false, nothing is to be done.
// Data flow: map_elements takes dense tensors as one long row, all others go row by row (map_rows);
// a thread calls run for its accesses, in 16 bytes where all tensors allow it.
// The trick: dense tensors that lie equally far behind an aligned address are cut at that address's
// multiples, so that all but the first and the last access are wide; a body never sees the
// difference, but `row` is 0 then and `column` counts all elements.
namespace pal::cuda {

/// A tensor as rows of elements of type T.
template <typename T>
struct Matrix {
  T* first;
  int64_t pitch;

  explicit Matrix(const Tensor& tensor)
      : first(tensor.data<std::remove_const_t<T>>()), pitch(tensor.pitch()) {}

  /// The element's address.
  __device__ T* at(int64_t row, int64_t column) const { return first + row * pitch + column; }
  /// kWidth neighbouring elements, read in one access.
  template <int kWidth>
  __device__ Vec<std::remove_const_t<T>, kWidth> load(int64_t row, int64_t column) const {
    return load_vector<kWidth>(at(row, column));
  }
};

/// Whether there is anything to do: what the body's begin() says, if it has one.
template <typename Body>
__device__ inline bool begins(Body& body) {
  if constexpr (requires { body.begin(); }) return body.begin();
  return true;
}

/// Runs a body over `count` elements of dense tensors, as one row. Accesses begin `shift` elements
/// before it, where they are aligned.
template <int kWidth, typename Body>
__global__ void __launch_bounds__(kThreads)
    map_flat_kernel(Body body, int64_t count, int64_t shift) {
  if (!begins(body)) return;
  for (int64_t i = global_thread() * kWidth - shift; i < count; i += global_threads() * kWidth) {
    if (i >= 0 && i + kWidth <= count) {
      body.template run<kWidth>(0, i);
      continue;
    }
    const int64_t end = i + kWidth < count ? i + kWidth : count;
    // A few elements of the whole call.
#pragma unroll 1
    for (int64_t k = i < 0 ? 0 : i; k < end; ++k) body.template run<1>(0, k);
  }
}

/// Runs a body over rows from `first_row` on, an access of kWidth elements per work item; `groups`
/// of them make a row.
template <int kWidth, typename Body>
__global__ void __launch_bounds__(kThreads)
    map_rows_kernel(Body body, int64_t first_row, uint32_t items, Divisor groups) {
  if (!begins(body)) return;
  for (uint32_t i = first_item(); i < items; i += item_step()) {
    const uint32_t row = groups.quotient(i);
    body.template run<kWidth>(first_row + row,
                              static_cast<int64_t>(i - row * groups.value()) * kWidth);
  }
}

/// Launches map_rows_kernel over all rows; kWidth divides `channels`.
template <int kWidth, typename Body>
void map_rows_wide(const Body& body, int64_t rows, int64_t channels) {
  const int64_t groups = channels / kWidth;
  for_each_part(rows, groups, [&](int64_t first, int64_t count) {
    const int64_t items = count * groups;
    launch(map_rows_kernel<kWidth, Body>, grid_for(items, kThreads), kThreads, 0, stream(), body,
           first, static_cast<uint32_t>(items), Divisor(groups));
  });
}

/// Runs `body` over the elements of `tensors`, row by row, in accesses of kWidth elements if all of
/// them allow it. No tensor may be empty.
template <int kWidth, typename Body>
void map_rows(const Body& body, std::initializer_list<const Tensor*> tensors) {
  const Tensor& like = **tensors.begin();
  const bool wide = std::all_of(tensors.begin(), tensors.end(),
                                [](const Tensor* t) { return vector_rows<kWidth>(*t); });
  if (wide)
    map_rows_wide<kWidth>(body, like.rows(), like.channels());
  else
    map_rows_wide<1>(body, like.rows(), like.channels());
}

/// Elements by which a tensor's first one lies behind an address that accesses of kWidth elements
/// may begin at.
template <int kWidth>
int64_t misalignment(const Tensor& tensor) {
  return static_cast<int64_t>(reinterpret_cast<uintptr_t>(tensor.raw()) /
                              static_cast<uintptr_t>(size_of(tensor.dtype())) % kWidth);
}

/// Runs `body`, which must not care where rows begin, over the elements of `tensors`: as one row if
/// all are dense and equally aligned, else as map_rows does. Empty tensors are allowed.
template <int kWidth, typename Body>
void map_elements(const Body& body, std::initializer_list<const Tensor*> tensors) {
  const Tensor& like = **tensors.begin();
  if (like.numel() == 0) return;
  const int64_t shift = misalignment<kWidth>(like);
  const bool flat = std::all_of(tensors.begin(), tensors.end(), [shift](const Tensor* t) {
    return t->is_dense() && misalignment<kWidth>(*t) == shift;
  });
  if (!flat) return map_rows<kWidth>(body, tensors);
  launch(map_flat_kernel<kWidth, Body>, grid_for(like.numel() + shift, kThreads * kWidth), kThreads,
         0, stream(), body, like.numel(), shift);
}

}  // namespace pal::cuda
