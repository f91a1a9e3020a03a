#include "experiments/library/pixel_view.h"

#include <atomic>
#include <cmath>
#include <type_traits>

#include "experiments/measures/metrics.h"
#include "kernels/common/backend.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

/// What a value computed to lie in [0, 1] may be beyond it.
constexpr double kBeyond = 1e-5;

/// Makes `place` the least of itself and `other`, where it is one.
void take_least(std::atomic<int64_t>& place, int64_t other) {
  int64_t before = place;
  while ((before < 0 || other < before) && !place.compare_exchange_weak(before, other)) {
  }
}

/// Copies the levels of images to `to` [count, h, w, c]; returns where the first value lies that is
/// refused, or -1.
template <typename T, typename To>
int64_t gather(const PixelView& images, int64_t first, int64_t count, bool within, To* to) {
  // No structured binding: clang 14 has none of them in lambdas.
  const int64_t height = images.extents[1];
  const int64_t width = images.extents[2];
  const int64_t channels = images.extents[3];
  const int64_t row = width * channels;
  std::atomic<int64_t> refused = -1;
  parallel_for(count * height, row_grain(row), [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      const T* const from = static_cast<const T*>(images.data) +
                            (first + y / height) * images.strides[0] +
                            y % height * images.strides[1];
      for (int64_t x = 0; x < width; ++x)
        for (int64_t c = 0; c < channels; ++c) {
          const T value = from[x * images.strides[2] + c * images.strides[3]];
          To* const level = to + y * row + x * channels + c;
          if constexpr (std::is_same_v<T, uint8_t>) {
            *level = static_cast<To>(value);
            continue;
          }
          const auto pixel = static_cast<double>(value);
          *level = static_cast<To>(pixel * kLevels);
          const bool fits =
              within ? pixel >= -kBeyond && pixel <= 1.0 + kBeyond : std::isfinite(*level);
          if (!fits) take_least(refused, level - to);
        }
    }
  });
  return refused;
}

/// The value of an image at a place of its levels.
double value_at(const PixelView& images, const std::array<int64_t, 4>& place) {
  int64_t offset = 0;
  for (size_t axis = 0; axis < place.size(); ++axis) offset += place[axis] * images.strides[axis];
  if (images.type == PixelType::unit_float)
    return static_cast<double>(static_cast<const float*>(images.data)[offset]);
  return static_cast<const double*>(images.data)[offset];
}

[[noreturn]] void refuse(const PixelView& images, int64_t first, int64_t refused) {
  const auto [n, height, width, channels] = images.extents;
  const int64_t pixel = refused / channels;
  const std::array<int64_t, 4> place = {first + pixel / (height * width), pixel / width % height,
                                        pixel % width, refused % channels};
  const double value = value_at(images, place);
  if (!std::isfinite(value))
    fail(ErrorKind::usage, "images: {} in image {}, row {}, column {}, colour {}", value, place[0],
         place[1], place[2], place[3]);
  fail(ErrorKind::usage,
       "images: {} in image {}, row {}, column {}, colour {}; expected pixels in [0, 1]: divide "
       "levels by 255, or give them as uint8",
       value, place[0], place[1], place[2], place[3]);
}

}  // namespace

PixelView PixelView::of(const Tensor& images) {
  expect(images.rank() == 4 && images.is_dense() && images.device().is_cpu(),
         "images: expected a dense tensor of 4 extents on the CPU, got {} on {}",
         images.shape().str(), images.device().str());
  expect(images.dtype() == DType::f32 || images.dtype() == DType::f64,
         "images: expected f32 or f64, got {}", name_of(images.dtype()));
  const Shape& s = images.shape();
  return {images.raw(),
          images.dtype() == DType::f32 ? PixelType::unit_float : PixelType::unit_double,
          {s[0], s[1], s[2], s[3]},
          {s[1] * s[2] * s[3], s[2] * s[3], s[3], 1}};
}

Tensor pixel_levels(const PixelView& images, int64_t first, int64_t count, DType dtype,
                    bool within) {
  const auto [n, height, width, channels] = images.extents;
  Tensor levels = Tensor::empty({count, height, width, channels}, dtype, Tag::data, Device());
  int64_t refused = -1;
  dispatch_real("pixel_levels", dtype, [&](auto typed) {
    auto* const to = levels.data<decltype(typed)>();
    if (images.type == PixelType::level)
      refused = gather<uint8_t>(images, first, count, within, to);
    else if (images.type == PixelType::unit_float)
      refused = gather<float>(images, first, count, within, to);
    else
      refused = gather<double>(images, first, count, within, to);
  });
  if (refused >= 0) refuse(images, first, refused);
  return levels;
}

}  // namespace pal
