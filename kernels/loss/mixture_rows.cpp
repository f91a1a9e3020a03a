#include "kernels/loss/mixture_rows.h"

#include "kernels/common/lanes.h"
#include "kernels/loss/mixture_math.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {

void add_weighted_rows(const Tensor& weights, double factor, const Tensor& source,
                       const Tensor& target) {
  const ProfileScope scope("add_weighted_rows", source.bytes() + 2 * target.bytes(),
                           2 * target.numel(), Peak::f32);
  const double* weight = weights.data<double>();
  const int64_t width = source.channels();
  dispatch_real("add_weighted_rows", source.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const T* from = source.data<T>();
    T* to = target.data<T>();
    parallel_for(source.rows(), row_grain(width), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const auto a = static_cast<T>(factor * weight[row]);
        for (int64_t c = 0; c < width; ++c)
          to[row * target.pitch() + c] += a * from[row * source.pitch() + c];
      }
    });
  });
}

void add_half_products(const Tensor& a, const Tensor& b, const Tensor& norms) {
  const ProfileScope scope("add_half_products", a.bytes() + b.bytes(), 2 * a.numel(), Peak::f32);
  dispatch_real("add_half_products", a.dtype(), [&](auto typed) {
    using T = decltype(typed);
    for (int64_t row = 0; row < a.rows(); ++row) {
      const T* left = a.data<T>() + row * a.pitch();
      const T* right = b.data<T>() + row * b.pitch();
      norms.data<double>()[row] += 0.5 * lane_sum(a.channels(), [left, right](int64_t k) {
                                     return widened(left[k]) * widened(right[k]);
                                   });
    }
  });
}

void mirror_lower_left(const Tensor& square, int64_t first) {
  const int64_t last = square.channels() - first;
  const ProfileScope scope("mirror_lower_left", 2 * first * last * size_of(square.dtype()));
  dispatch_real("mirror_lower_left", square.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const int64_t pitch = square.pitch();
    for (int64_t i = 0; i < first; ++i)
      for (int64_t j = first; j < first + last; ++j)
        square.data<T>()[i * pitch + j] = square.data<T>()[j * pitch + i];
  });
}

void subtract_norms(const Tensor& norms, const Tensor& scores) {
  const ProfileScope scope("subtract_norms", 2 * scores.bytes(), scores.numel(), Peak::f32);
  dispatch_real("subtract_norms", scores.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const double* norm = norms.data<double>();
    for (int64_t n = 0; n < scores.rows(); ++n) {
      T* row = scores.data<T>() + n * scores.pitch();
      for (int64_t y = 0; y < scores.channels(); ++y) row[y] = mixture_math::score(row[y], norm[y]);
    }
  });
}

}  // namespace pal::cpu
