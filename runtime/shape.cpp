#include "runtime/shape.h"

#include "runtime/error.h"

namespace pal {

Shape::Shape(std::initializer_list<int64_t> extents) {
  expect(extents.size() <= kMaxRank, "Shape: expected at most {} extents, got {}", kMaxRank,
         extents.size());
  for (const int64_t extent : extents) {
    expect(extent >= 0, "Shape: expected extents of at least 0, got {}", extent);
    extents_[static_cast<size_t>(rank_++)] = extent;
  }
}

int64_t Shape::numel() const {
  int64_t product = 1;
  for (int axis = 0; axis < rank_; ++axis)
    if (__builtin_mul_overflow(product, (*this)[axis], &product))
      fail(ErrorKind::usage, "Shape: the product of the extents {} overflows", str());
  return product;
}

Shape Shape::with_last(int64_t extent) const {
  expect(rank_ > 0, "Shape::with_last: expected at least one extent");
  Shape changed = *this;
  changed.extents_[static_cast<size_t>(rank_ - 1)] = extent;
  return changed;
}

std::string Shape::str() const {
  std::string text = "[";
  for (int axis = 0; axis < rank_; ++axis) {
    if (axis > 0) text += ", ";
    text += std::to_string((*this)[axis]);
  }
  return text + "]";
}

}  // namespace pal
