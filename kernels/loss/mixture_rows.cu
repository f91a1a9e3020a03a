#include "kernels/loss/mixture_rows.h"

#include "kernels/arrays/elementwise_map.cuh"
#include "kernels/common/items.cuh"
#include "kernels/loss/mixture_math.h"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

struct AddWeighted {
  const double* weights;
  double factor;
  Matrix<const float> source;
  Matrix<float> target;

  template <int kWidth>
  __device__ void run(int64_t row, int64_t column) const {
    const auto weight = static_cast<float>(factor * weights[row]);
    const auto from = source.template load<kWidth>(row, column);
    auto to = target.template load<kWidth>(row, column);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) to.at[k] += weight * from.at[k];
    store_vector(target.at(row, column), to);
  }
};

struct SubtractNorms {
  const double* norms;
  Matrix<float> scores;

  template <int kWidth>
  __device__ void run(int64_t row, int64_t column) const {
    auto values = scores.template load<kWidth>(row, column);
#pragma unroll
    for (int k = 0; k < kWidth; ++k)
      values.at[k] = mixture_math::score(values.at[k], norms[column + k]);
    store_vector(scores.at(row, column), values);
  }
};

/// A thread for each entry: what is mirrored is small and lies in the cache.
__global__ void __launch_bounds__(kThreads)
    mirror_lower_left_kernel(Matrix<float> square, uint32_t entries, Divisor first) {
  for (uint32_t item = first_item(); item < entries; item += item_step()) {
    const uint32_t row = first.quotient(item);
    const uint32_t below = first.value() + row;
    const uint32_t column = item - row * first.value();
    *square.at(column, below) = *square.at(below, column);
  }
}

/// norms[row] += <a[row], b[row]> / 2, a row per warp.
__global__ void __launch_bounds__(kThreads)
    add_half_products_kernel(Matrix<const float> a, Matrix<const float> b, int64_t rows,
                             int64_t width, double* norms) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  for (int64_t row = global_thread() / 32; row < rows; row += global_threads() / 32) {
    double sum = 0.0;
#pragma unroll 4
    for (int64_t k = lane; k < width; k += 32)
      sum += static_cast<double>(*a.at(row, k)) * static_cast<double>(*b.at(row, k));
    sum = warp_sum(sum);
    if (lane == 0) norms[row] += 0.5 * sum;
  }
}

}  // namespace

void add_weighted_rows(const Tensor& weights, double factor, const Tensor& source,
                       const Tensor& target) {
  const ProfileScope scope("add_weighted_rows", source.bytes() + 2 * target.bytes(),
                           2 * target.numel(), Peak::f32);
  const AddWeighted body{weights.data<double>(), factor, Matrix<const float>(source),
                         Matrix<float>(target)};
  map_rows<kVectorWidth<float>>(body, {&target, &source});
}

void add_half_products(const Tensor& a, const Tensor& b, const Tensor& norms) {
  const ProfileScope scope("add_half_products", a.bytes() + b.bytes(), 2 * a.numel(), Peak::f32);
  launch(add_half_products_kernel, grid_for(a.rows(), kThreads / 32), kThreads, 0, stream(),
         Matrix<const float>(a), Matrix<const float>(b), a.rows(), a.channels(),
         norms.data<double>());
}

void mirror_lower_left(const Tensor& square, int64_t first) {
  const int64_t entries = first * (square.channels() - first);
  const ProfileScope scope("mirror_lower_left", 2 * entries * size_of(square.dtype()));
  expect(entries <= kMostItems, "mirror_lower_left: {} entries; a kernel takes at most {}", entries,
         kMostItems);
  launch(mirror_lower_left_kernel, grid_for(entries, kThreads), kThreads, 0, stream(),
         Matrix<float>(square), static_cast<uint32_t>(entries), Divisor(first));
}

void subtract_norms(const Tensor& norms, const Tensor& scores) {
  const ProfileScope scope("subtract_norms", 2 * scores.bytes(), scores.numel(), Peak::f32);
  map_rows<kVectorWidth<float>>(SubtractNorms{norms.data<double>(), Matrix<float>(scores)},
                                {&scores});
}

}  // namespace pal::cuda
