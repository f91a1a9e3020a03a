#pragma once
#include "kernels/common/check.h"
#include "kernels/resample/dct.h"

// What the DCT kernels of both backends share: all three maps are
//   out(b, a) = sum_ij P[a][i] P[b][j] in(i, j)
// with a matrix P of their own, from an image to a vector or back.
namespace pal {

/// Elements from one position of an N x N map to the next, and from one sample to the next.
struct MapLayout {
  int64_t position;
  int64_t sample;
};

/// The layout of the maps of an image [n, N, N, C].
inline MapLayout image_layout(const Tensor& image) {
  return {image.pitch(), image.size(1) * image.size(2) * image.pitch()};
}

/// The layout of the maps in a vector [n, N N C].
inline MapLayout vector_layout(const Tensor& vector, int64_t channels) {
  return {channels, vector.pitch()};
}

/// An image of square maps and the vectors of its DCT must fit each other.
inline void check_dct(const char* op, const Tensor& image, const Tensor& vector) {
  expect_rank(op, "image", image, 4);
  const Shape& s = image.shape();
  if (s[1] != s[2]) fail(ErrorKind::usage, "{}: expected square maps, got {}", op, s.str());
  expect_tensor(op, "vector", vector, {s[0], s[1] * s[2] * s[3]}, image.dtype());
}

/// Multiplications and additions of one of the maps.
inline int64_t dct_operations(const Tensor& image) { return 4 * image.size(1) * image.numel(); }

/// The transpose of dct_matrix, which the backward pass applies.
inline std::vector<double> dct_backward_matrix(int64_t size, const DctMap& map) {
  const std::vector<double> matrix = dct_matrix(size, map);
  std::vector<double> transposed(matrix.size());
  for (int64_t n = 0; n < size; ++n)
    for (int64_t k = 0; k < size; ++k)
      transposed[static_cast<size_t>(n * size + k)] = matrix[static_cast<size_t>(k * size + n)];
  return transposed;
}

}  // namespace pal
