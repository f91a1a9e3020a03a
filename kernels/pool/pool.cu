#include "kernels/common/column_kernels.cuh"
#include "kernels/common/gpu_dtypes.h"
#include "kernels/pool/pool.h"
#include "kernels/pool/pool_check.h"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

// A chunk of the tiles is an image, a line a pixel: a block takes some channels of an image.

template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    average_forward_kernel(Lines<const T> x, Lines<T> y, ColumnTiles tiles) {
  for (int64_t item = blockIdx.x; item < tiles.items(); item += gridDim.x) {
    const ColumnPlace at = tiles.place<kWidth>(item);
    float sums[kWidth] = {};
    if (at.active)
      for_each_line<4>(
          at, tiles.lanes,
          [&](int64_t pixel) { return load_vector<kWidth>(x.line(pixel) + at.element); },
          [&](int64_t, const Vec<T, kWidth>& values) {
#pragma unroll
            for (int k = 0; k < kWidth; ++k) sums[k] += static_cast<float>(values.at[k]);
          });
    sum_lanes(sums, at.lane, tiles);
    if (at.active && at.lane == 0) {
      Vec<T, kWidth> means;
#pragma unroll
      for (int k = 0; k < kWidth; ++k) means.at[k] = T(sums[k] / static_cast<float>(tiles.chunk));
      store_vector(y.line(at.chunk) + at.element, means);
    }
  }
}

template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    average_backward_kernel(Lines<const T> grad_y, Lines<T> grad_x, ColumnTiles tiles) {
  for (int64_t item = blockIdx.x; item < tiles.items(); item += gridDim.x) {
    const ColumnPlace at = tiles.place<kWidth>(item);
    if (!at.active) continue;
    auto values = load_vector<kWidth>(grad_y.line(at.chunk) + at.element);
#pragma unroll
    for (int k = 0; k < kWidth; ++k)
      values.at[k] = T(static_cast<float>(values.at[k]) / static_cast<float>(tiles.chunk));
    for (int64_t pixel = at.begin; pixel < at.end; pixel += tiles.lanes)
      store_vector(grad_x.line(pixel) + at.element, values);
  }
}

/// Calls body(T{}, width, tiles) for images [n, h, w, c] with means [n, c]; the width is an
/// integral_constant.
template <typename Body>
void dispatch_images(const char* op, const Tensor& image, const Tensor& means, Body&& body) {
  const auto run = [&](auto typed) {
    constexpr int kWidest = kVectorWidth<decltype(typed)>;
    const int64_t pixels = image.size(1) * image.size(2);
    const auto call = [&](auto width) {
      body(typed, width, ColumnTiles(0, image.rows(), image.channels(), 1, width, pixels));
    };
    if (vector_rows<kWidest>(image) && vector_rows<kWidest>(means))
      return call(std::integral_constant<int, kWidest>{});
    call(std::integral_constant<int, 1>{});
  };
  if (image.dtype() == DType::bf16) return run(bfloat16{});
  refuse_f64(op, image.dtype());
  expect_dtype(op, "image", image, DType::f32);
  run(float{});
}

}  // namespace

void average_pool_forward(const Tensor& x, const Tensor& y) {
  check_average_pool("average_pool_forward", x, y);
  const ProfileScope scope("average_pool_forward", x.bytes() + y.bytes(), x.numel());
  dispatch_images("average_pool_forward", x, y,
                  [&](auto typed, auto width, const ColumnTiles& tiles) {
                    using T = decltype(typed);
                    launch(average_forward_kernel<T, width>, grid_for(tiles.items(), 1), kThreads,
                           0, stream(), Lines<const T>(x, tiles), Lines<T>(y, tiles), tiles);
                  });
}

void average_pool_backward(const Tensor& grad_y, const Tensor& grad_x) {
  check_average_pool("average_pool_backward", grad_x, grad_y);
  const ProfileScope scope("average_pool_backward", grad_x.bytes() + grad_y.bytes());
  dispatch_images("average_pool_backward", grad_x, grad_y,
                  [&](auto typed, auto width, const ColumnTiles& tiles) {
                    using T = decltype(typed);
                    launch(average_backward_kernel<T, width>, grid_for(tiles.items(), 1), kThreads,
                           0, stream(), Lines<const T>(grad_y, tiles), Lines<T>(grad_x, tiles),
                           tiles);
                  });
}

}  // namespace pal::cuda
