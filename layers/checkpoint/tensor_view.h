#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pal {

/// A tensor within a row of elements: element (i, j, ...) is at
/// offset + i * strides[0] + j * strides[1] + ...
struct TensorView {
  int64_t offset = 0;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
};

/// What is wrong with a view of a row of `count` elements whose numbers come from a file; none if
/// it lies within, repeats none too often and its extents can be multiplied without overflow.
std::optional<std::string> view_fault(const TensorView& view, int64_t count);

// The following need a view without fault.

/// Whether the view's elements lie one after the other in row-major order.
bool is_dense(const TensorView& view);
/// How many elements of the row there are from the view's first to its last, both included; the
/// view must not be empty.
int64_t view_reach(const TensorView& view);
/// Copies the view's elements, `item` bytes each, in row-major order to `target`, which has their
/// size; `source` begins at the view's first element.
void gather_view(const TensorView& view, size_t item, std::span<const uint8_t> source,
                 std::span<uint8_t> target);

}  // namespace pal
