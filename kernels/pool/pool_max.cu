#include "kernels/pool/pool.h"

#include <limits>

#include "kernels/common/gpu_dtypes.h"
#include "kernels/common/items.cuh"
#include "kernels/pool/pool_check.h"
#include "kernels/pool/pool_math.h"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

/// An image (fine) and the image of its windows (coarse), and the numbering of work items: an item
/// is `width` channels of a pixel of one of them, `of_items`.
class Windows {
 public:
  Windows(const Tensor& fine, const Tensor& coarse, const PoolGeometry& g, const Tensor& of_items,
          int width)
      : kernel(static_cast<int>(g.kernel)),
        stride(g.stride),
        padding(static_cast<int>(g.padding)),
        fine_height(static_cast<int>(fine.size(1))),
        fine_width(static_cast<int>(fine.size(2))),
        coarse_height(static_cast<int>(coarse.size(1))),
        coarse_width(static_cast<int>(coarse.size(2))),
        channels(static_cast<int>(fine.channels())),
        count(static_cast<uint32_t>(of_items.numel() / width)),
        accesses_(fine.channels() / width),
        columns_(of_items.size(2)),
        lines_(of_items.size(1)) {}

  /// Where a work item lies; `access` counts within the pixel, `pixel` over the batch.
  struct Item {
    int image;
    int row;
    int column;
    int access;
    uint32_t pixel;
  };
  __device__ Item item(uint32_t i) const {
    const uint32_t pixel = accesses_.quotient(i);
    const uint32_t line = columns_.quotient(pixel);
    const uint32_t image = lines_.quotient(line);
    return {static_cast<int>(image), static_cast<int>(line - image * lines_.value()),
            static_cast<int>(pixel - line * columns_.value()),
            static_cast<int>(i - pixel * accesses_.value()), pixel};
  }

  __device__ pool_math::TapRange<int> taps(int window, int size) const {
    return {window, size, kernel, static_cast<int>(stride.value()), padding};
  }
  __device__ pool_math::WindowRange<int> windows(int at, int number) const {
    return {at, number, kernel, static_cast<int>(stride.value()), padding, ByStride{stride}};
  }

  int kernel;
  Divisor stride;
  int padding;
  int fine_height;
  int fine_width;
  int coarse_height;
  int coarse_width;
  int channels;
  uint32_t count;  ///< of items

 private:
  struct ByStride {
    PAL_HD int operator()(int number) const {
      return static_cast<int>(stride.quotient(static_cast<uint32_t>(number)));
    }
    Divisor stride;
  };

  Divisor accesses_;
  Divisor columns_;
  Divisor lines_;
};

__device__ inline int at_least(int value, int least) { return value < least ? least : value; }
__device__ inline int at_most(int value, int most) { return value > most ? most : value; }

/// The largest values of a window so far, of kWidth channels, and their taps.
template <int kWidth>
struct Largest {
  Vec<float, kWidth> value;
  int tap[kWidth];

  template <typename T>
  __device__ void start(const Vec<T, kWidth>& values, int place) {
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      value.at[k] = static_cast<float>(values.at[k]);
      tap[k] = place;
    }
  }
  /// Values outside the image count as -infinity, which never wins.
  template <typename T>
  __device__ void take(const Vec<T, kWidth>& values, int place, bool inside) {
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      const float other =
          inside ? static_cast<float>(values.at[k]) : -std::numeric_limits<float>::infinity();
      const bool wins = pool_math::wins(other, value.at[k]);
      value.at[k] = wins ? other : value.at[k];
      tap[k] = wins ? place : tap[k];
    }
  }
};

/// The forward pass; items are those of y. kKernel: the window's size, 0: any.
template <typename T, int kWidth, int kKernel>
__global__ void __launch_bounds__(kThreads)
    max_forward_kernel(const T* x, int64_t x_pitch, T* y, int64_t y_pitch, uint8_t* taps,
                       Windows windows) {
  for (uint32_t i = first_item(); i < windows.count; i += item_step()) {
    const auto item = windows.item(i);
    const int channel = item.access * kWidth;
    const auto rows = windows.taps(item.row, windows.fine_height);
    const auto columns = windows.taps(item.column, windows.fine_width);
    const auto load = [&](int dy, int dx) {
      const int64_t line = static_cast<int64_t>(item.image) * windows.fine_height + rows.start + dy;
      return load_vector<kWidth>(x + (line * windows.fine_width + columns.start + dx) * x_pitch +
                                 channel);
    };
    Largest<kWidth> largest;
    // The first tap starts the comparison, so that a window of -infinity has a winner too.
    const int first = rows.begin * windows.kernel + columns.begin;
    if constexpr (kKernel > 0) {
      // All taps are read at once; instead of those outside the image, some inside.
      Vec<T, kWidth> values[kKernel * kKernel];
#pragma unroll
      for (int tap = 0; tap < kKernel * kKernel; ++tap)
        values[tap] = load(at_most(at_least(tap / kKernel, rows.begin), rows.end - 1),
                           at_most(at_least(tap % kKernel, columns.begin), columns.end - 1));
      largest.start(values[0], first);
#pragma unroll
      for (int tap = 0; tap < kKernel * kKernel; ++tap) {
        const int dy = tap / kKernel;
        const int dx = tap % kKernel;
        largest.take(values[tap], tap,
                     dy >= rows.begin && dy < rows.end && dx >= columns.begin && dx < columns.end);
      }
    } else {
      largest.start(load(rows.begin, columns.begin), first);
      for (int dy = rows.begin; dy < rows.end; ++dy)
        for (int dx = columns.begin; dx < columns.end; ++dx)
          largest.take(load(dy, dx), dy * windows.kernel + dx, true);
    }
    Vec<T, kWidth> best;
    Vec<uint8_t, kWidth> places;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      best.at[k] = T(largest.value.at[k]);
      places.at[k] = static_cast<uint8_t>(largest.tap[k]);
    }
    store_vector(y + item.pixel * y_pitch + channel, best);
    store_vector(taps + static_cast<int64_t>(item.pixel) * windows.channels + channel, places);
  }
}

/// The backward pass; items are those of grad_x. kMost: most windows of a pixel along an axis (0:
/// any). Each pixel gathers from its windows, so that no two threads write to one place.
template <typename T, int kWidth, int kMost>
__global__ void __launch_bounds__(kThreads)
    max_backward_kernel(const T* grad_y, int64_t y_pitch, const uint8_t* taps, T* grad_x,
                        int64_t x_pitch, Windows windows) {
  for (uint32_t i = first_item(); i < windows.count; i += item_step()) {
    const auto item = windows.item(i);
    const int channel = item.access * kWidth;
    const auto rows = windows.windows(item.row, windows.coarse_height);
    const auto columns = windows.windows(item.column, windows.coarse_width);
    const int stride = static_cast<int>(windows.stride.value());
    float sums[kWidth] = {};
    struct Window {
      Vec<T, kWidth> grad;
      Vec<uint8_t, kWidth> taps;
    };
    const auto load = [&](int oy, int ox) -> Window {
      const int64_t window =
          (static_cast<int64_t>(item.image) * windows.coarse_height + oy) * windows.coarse_width +
          ox;
      return {load_vector<kWidth>(grad_y + window * y_pitch + channel),
              load_vector<kWidth>(taps + window * windows.channels + channel)};
    };
    // Adds where the pixel's place in the window is the winner.
    const auto add = [&](const Window& window, int oy, int ox, bool wanted) {
      const int place = (item.row + windows.padding - oy * stride) * windows.kernel + item.column +
                        windows.padding - ox * stride;
#pragma unroll
      for (int k = 0; k < kWidth; ++k)
        sums[k] +=
            wanted && window.taps.at[k] == place ? static_cast<float>(window.grad.at[k]) : 0.0F;
    };
    if constexpr (kMost > 0) {
      // All windows are read at once; where there are fewer, the last one several times.
      Window all[kMost * kMost];
#pragma unroll
      for (int n = 0; n < kMost * kMost; ++n)
        all[n] = load(at_most(rows.first + n / kMost, rows.last),
                      at_most(columns.first + n % kMost, columns.last));
#pragma unroll
      for (int n = 0; n < kMost * kMost; ++n) {
        const int oy = rows.first + n / kMost;
        const int ox = columns.first + n % kMost;
        add(all[n], oy, ox, oy <= rows.last && ox <= columns.last);
      }
    } else {
      for (int oy = rows.first; oy <= rows.last; ++oy)
        for (int ox = columns.first; ox <= columns.last; ++ox) add(load(oy, ox), oy, ox, true);
    }
    Vec<T, kWidth> grad;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) grad.at[k] = T(sums[k]);
    store_vector(grad_x + item.pixel * x_pitch + channel, grad);
  }
}

/// Calls body(T{}, width, fine, coarse, taps) for parts of the batch that fit one launch; the width
/// is an integral_constant.
template <typename Body>
void for_each_images(const char* op, const Tensor& fine, const Tensor& coarse, const Tensor& taps,
                     Body&& body) {
  const auto run = [&](auto typed) {
    constexpr int kWidest = kVectorWidth<decltype(typed)>;
    const bool vectors =
        vector_rows<kWidest>(fine) && vector_rows<kWidest>(coarse) && vector_rows<kWidest>(taps);
    const int64_t values = std::max(fine.numel(), coarse.numel()) / fine.size(0);
    for_each_part(fine.size(0), values, [&](int64_t first, int64_t count) {
      const auto part = [&](const Tensor& tensor) { return tensor.slice_batch(first, count); };
      if (vectors)
        body(typed, std::integral_constant<int, kWidest>{}, part(fine), part(coarse), part(taps));
      else
        body(typed, std::integral_constant<int, 1>{}, part(fine), part(coarse), part(taps));
    });
  };
  if (fine.dtype() == DType::bf16) return run(bfloat16{});
  refuse_f64(op, fine.dtype());
  expect_dtype(op, "image", fine, DType::f32);
  run(float{});
}

}  // namespace

void max_pool_forward(const Tensor& x, const PoolGeometry& geometry, const Tensor& y,
                      const Tensor& taps) {
  check_max_pool("max_pool_forward", x, y, taps, geometry);
  const ProfileScope scope("max_pool_forward", x.bytes() + y.bytes() + taps.bytes());
  for_each_images(
      "max_pool_forward", x, y, taps,
      [&](auto typed, auto width, const Tensor& from, const Tensor& to, const Tensor& places) {
        using T = decltype(typed);
        const Windows windows(from, to, geometry, to, width);
        launch(geometry.kernel == 3 ? max_forward_kernel<T, width, 3>
                                    : max_forward_kernel<T, width, 0>,
               grid_for(windows.count, kThreads), kThreads, 0, stream(), from.data<T>(),
               from.pitch(), to.data<T>(), to.pitch(), places.data<uint8_t>(), windows);
      });
}

void max_pool_backward(const Tensor& grad_y, const Tensor& taps, const PoolGeometry& geometry,
                       const Tensor& grad_x) {
  check_max_pool("max_pool_backward", grad_x, grad_y, taps, geometry);
  const ProfileScope scope("max_pool_backward", grad_x.bytes() + grad_y.bytes() + taps.bytes());
  const bool few = geometry.kernel <= 2 * geometry.stride;
  for_each_images(
      "max_pool_backward", grad_x, grad_y, taps,
      [&](auto typed, auto width, const Tensor& to, const Tensor& from, const Tensor& places) {
        using T = decltype(typed);
        const Windows windows(to, from, geometry, to, width);
        launch(few ? max_backward_kernel<T, width, 2> : max_backward_kernel<T, width, 0>,
               grid_for(windows.count, kThreads), kThreads, 0, stream(), from.data<T>(),
               from.pitch(), places.data<uint8_t>(), to.data<T>(), to.pitch(), windows);
      });
}

}  // namespace pal::cuda
