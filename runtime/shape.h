#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace pal {

/// The extents of a tensor, up to four. Images are [batch, height, width, channels]; matrices
/// [rows, columns].
class Shape {
 public:
  static constexpr int kMaxRank = 4;

  Shape() = default;
  /// Throws usage for more than kMaxRank extents or a negative one.
  Shape(std::initializer_list<int64_t> extents);

  int rank() const { return rank_; }
  int64_t operator[](int axis) const { return extents_[static_cast<size_t>(axis)]; }
  /// The last extent, 1 for rank 0.
  int64_t last() const { return rank_ == 0 ? 1 : extents_[static_cast<size_t>(rank_ - 1)]; }
  /// Product of all extents; throws usage if it overflows.
  int64_t numel() const;
  /// Product of all extents but the last.
  int64_t rows() const { return last() == 0 ? 0 : numel() / last(); }
  /// The same shape with another last extent.
  Shape with_last(int64_t extent) const;
  bool operator==(const Shape&) const = default;
  /// "[8, 32, 32, 3]"
  std::string str() const;

 private:
  std::array<int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

}  // namespace pal
