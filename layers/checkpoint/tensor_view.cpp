#include "layers/checkpoint/tensor_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace pal {

std::optional<std::string> view_fault(const TensorView& view, int64_t count) {
  if (view.shape.size() != view.strides.size())
    return fmt::format("a view of {} extents has {} strides", view.shape.size(),
                       view.strides.size());
  const bool empty = std::ranges::find(view.shape, 0) != view.shape.end();
  bool fits = true;
  int64_t elements = 1;
  int64_t last = view.offset;
  for (size_t i = 0; i < view.shape.size() && fits; ++i) {
    // An empty view may not overflow either: its extents are multiplied in any order later.
    const int64_t extent = std::max<int64_t>(view.shape[i], 1);
    int64_t step = 0;
    fits = !__builtin_mul_overflow(elements, extent, &elements) &&
           !__builtin_mul_overflow(extent - 1, view.strides[i], &step) &&
           !__builtin_add_overflow(last, step, &last);
  }
  if (!fits || (empty ? view.offset > count : last >= count))
    return fmt::format("a view runs past the {} elements of its storage", count);
  // A stride of 0 makes many elements of one.
  if (!empty && elements > count)
    return fmt::format("a view of {} elements repeats those of a storage of {}", elements, count);
  return std::nullopt;
}

bool is_dense(const TensorView& view) {
  int64_t expected = 1;
  for (size_t i = view.shape.size(); i > 0; --i) {
    if (view.shape[i - 1] != 1 && view.strides[i - 1] != expected) return false;
    expected *= view.shape[i - 1];
  }
  return true;
}

int64_t view_reach(const TensorView& view) {
  int64_t last = 0;
  for (size_t i = 0; i < view.shape.size(); ++i) last += (view.shape[i] - 1) * view.strides[i];
  return last + 1;
}

void gather_view(const TensorView& view, size_t item, std::span<const uint8_t> source,
                 std::span<uint8_t> target) {
  std::vector<int64_t> index(view.shape.size(), 0);
  int64_t at = 0;
  for (size_t written = 0; written < target.size(); written += item) {
    std::memcpy(target.data() + written, source.data() + static_cast<size_t>(at) * item, item);
    for (size_t axis = index.size(); axis > 0; --axis) {
      const size_t a = axis - 1;
      at += view.strides[a];
      if (++index[a] < view.shape[a]) break;
      at -= view.strides[a] * view.shape[a];
      index[a] = 0;
    }
  }
}

}  // namespace pal
