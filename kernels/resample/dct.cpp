#include "kernels/resample/dct.h"

#include <algorithm>
#include <cmath>

#include "kernels/resample/dct_layout.h"
#include "kernels/resample/dct_math.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal {
namespace {

/// Scale of the rows of D on one side of the product.
double side_scale(int64_t size, const DctMap& map) {
  return std::sqrt(map.rebalance / static_cast<double>(2 * (size + 1)));
}

void check_map(int64_t size, const DctMap& map) {
  expect(size >= 1 && map.rebalance > 0.0 && std::isfinite(map.rebalance),
         "dct: expected a size of at least 1 and a positive rebalance, got {} and {}", size,
         map.rebalance);
}

/// The matrix [size, size] of entries entry(row, column).
template <typename Entry>
std::vector<double> matrix_of(int64_t size, Entry&& entry) {
  std::vector<double> matrix(static_cast<size_t>(size * size));
  for (int64_t i = 0; i < size; ++i)
    for (int64_t j = 0; j < size; ++j) matrix[static_cast<size_t>(i * size + j)] = entry(i, j);
  return matrix;
}

/// Channels that are worked on at once.
constexpr int64_t kLanes = 64;

/// out[a] = sum_j row[j] in[j * stride] for `width` channels; width is a constant where it matters.
template <typename T>
inline void weighted_sum(const T* __restrict row, int64_t size, const T* __restrict in,
                         int64_t stride, T* __restrict out, int64_t width) {
  T sum[kLanes] = {};
  for (int64_t j = 0; j < size; ++j)
    for (int64_t lane = 0; lane < width; ++lane) sum[lane] += row[j] * in[j * stride + lane];
  for (int64_t lane = 0; lane < width; ++lane) out[lane] = sum[lane];
}

/// out(b, a) = sum_ij P[a][i] P[b][j] in(i, j) for one sample and up to kLanes channels: both sides
/// of the product and the exchange of the two spatial axes, which all three maps need.
template <typename T>
inline void apply_block(const T* matrix, int64_t size, const T* in, int64_t in_step, T* out,
                        int64_t out_step, T* scratch, int64_t width) {
  for (int64_t i = 0; i < size; ++i)
    for (int64_t b = 0; b < size; ++b)
      weighted_sum(matrix + b * size, size, in + i * size * in_step, in_step,
                   scratch + (i * size + b) * kLanes, width);
  for (int64_t b = 0; b < size; ++b)
    for (int64_t a = 0; a < size; ++a)
      weighted_sum(matrix + a * size, size, scratch + b * kLanes, size * kLanes,
                   out + (b * size + a) * out_step, width);
}

/// The map of apply_block for a whole batch.
template <typename T>
void apply(const std::vector<double>& matrix, int64_t size, int64_t batch, int64_t channels,
           const T* in, MapLayout in_layout, T* out, MapLayout out_layout) {
  const std::vector<T> typed(matrix.begin(), matrix.end());
  const int64_t blocks = (channels + kLanes - 1) / kLanes;
  const int64_t grain = std::max<int64_t>(1, 16384 / (size * size * kLanes));
  parallel_for(batch * blocks, grain, [&](int64_t begin, int64_t end) {
    std::vector<T> scratch(static_cast<size_t>(size * size * kLanes));
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task % blocks * kLanes;
      const T* from = in + task / blocks * in_layout.sample + first;
      T* to = out + task / blocks * out_layout.sample + first;
      const int64_t width = std::min(kLanes, channels - first);
      if (width == kLanes)
        apply_block(typed.data(), size, from, in_layout.position, to, out_layout.position,
                    scratch.data(), kLanes);
      else
        apply_block(typed.data(), size, from, in_layout.position, to, out_layout.position,
                    scratch.data(), width);
    }
  });
}

/// Overwrites the image with the map of the vector by this matrix: the inverse or the backward
/// pass.
void back_to_image(const char* op, const std::vector<double>& matrix, const Tensor& vector,
                   const Tensor& image) {
  const ProfileScope scope(op, image.bytes() + vector.bytes(), dct_operations(image));
  dispatch_real(op, image.dtype(), [&](auto typed) {
    using T = decltype(typed);
    apply<T>(matrix, image.size(1), image.size(0), image.channels(), vector.data<T>(),
             vector_layout(vector, image.channels()), image.data<T>(), image_layout(image));
  });
}

}  // namespace

std::vector<double> dct_matrix(int64_t size, const DctMap& map) {
  check_map(size, map);
  const double scale = side_scale(size, map);
  const bool unit = map.flavour == DctMap::Flavour::orthonormal;
  return matrix_of(size, [&](int64_t k, int64_t n) {
    return dct_math::forward(k, n, size) * (unit ? 1.0 / dct_math::row_norm(k, size) : scale);
  });
}

std::vector<double> dct_inverse_matrix(int64_t size, const DctMap& map) {
  check_map(size, map);
  const double scale = side_scale(size, map);
  const bool unit = map.flavour == DctMap::Flavour::orthonormal;
  return matrix_of(size, [&](int64_t n, int64_t k) {
    return dct_math::inverse(n, k, size) * (unit ? dct_math::row_norm(k, size) : 1.0 / scale);
  });
}

double dct_log_det(int64_t size, int64_t channels, const DctMap& map) {
  check_map(size, map);
  if (map.flavour == DctMap::Flavour::orthonormal) return 0.0;
  const auto n = static_cast<double>(size);
  return static_cast<double>(channels) *
         (n * n * std::log(map.rebalance * n / (n + 1.0)) + n * std::log(2.0));
}

double dct_reported_log_det(int64_t size, int64_t channels, const DctMap& map) {
  check_map(size, map);
  if (map.flavour == DctMap::Flavour::orthonormal) return 0.0;
  return static_cast<double>(channels * size * size) * std::log(map.rebalance);
}

namespace cpu {

void dct_forward(const Tensor& x, const Tensor& y, const DctMap& map) {
  check_dct("dct_forward", x, y);
  const ProfileScope scope("dct_forward", x.bytes() + y.bytes(), dct_operations(x));
  const auto matrix = dct_matrix(x.size(1), map);
  dispatch_real("dct_forward", x.dtype(), [&](auto typed) {
    using T = decltype(typed);
    apply<T>(matrix, x.size(1), x.size(0), x.channels(), x.data<T>(), image_layout(x), y.data<T>(),
             vector_layout(y, x.channels()));
  });
}

void dct_inverse(const Tensor& y, const Tensor& x, const DctMap& map) {
  check_dct("dct_inverse", x, y);
  back_to_image("dct_inverse", dct_inverse_matrix(x.size(1), map), y, x);
}

void dct_backward(const Tensor& grad_y, const Tensor& grad_x, const DctMap& map) {
  check_dct("dct_backward", grad_x, grad_y);
  back_to_image("dct_backward", dct_backward_matrix(grad_x.size(1), map), grad_y, grad_x);
}

}  // namespace cpu
}  // namespace pal
