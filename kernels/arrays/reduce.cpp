#include "kernels/arrays/reduce.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "kernels/arrays/reduce_check.h"
#include "kernels/arrays/reduce_math.h"
#include "kernels/common/lanes.h"
#include "kernels/common/runs.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

/// Elements that one partial sum covers.
constexpr int64_t kChunk = 8192;

int64_t chunks_of(int64_t count, int64_t chunk) { return (count + chunk - 1) / chunk; }

template <typename T>
double sum_of_squares(const T* values, int64_t count) {
  return lane_sum(count, [values](int64_t i) {
    const double value = widened(values[i]);
    return value * value;
  });
}

/// Overwrites norms[rows] with the squared norms of `rows` rows of `width` elements.
template <typename T>
void row_norms(const T* values, int64_t rows, int64_t width, int64_t pitch, double* norms) {
  const int64_t parts = chunks_of(width, kChunk);
  std::vector<double> partial(static_cast<size_t>(rows * parts));
  parallel_for(rows * parts, std::max<int64_t>(1, 16384 / std::min(width, kChunk)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t task = begin; task < end; ++task) {
                   const int64_t first = task % parts * kChunk;
                   partial[static_cast<size_t>(task)] = sum_of_squares(
                       values + task / parts * pitch + first, std::min(kChunk, width - first));
                 }
               });
  for (int64_t row = 0; row < rows; ++row) {
    double* parts_of_row = partial.data() + row * parts;
    tree_sum(parts_of_row, parts, 1);
    norms[row] = parts_of_row[0];
  }
}

template <typename From, typename To>
void channel_sums_typed(const Tensor& x, const Tensor& sums) {
  const int64_t channels = x.channels();
  const int64_t rows = x.rows();
  // About kChunk elements per partial sum, at most 256 of them so that they stay small.
  const int64_t chunk = std::max({int64_t{1}, kChunk / channels, chunks_of(rows, 256)});
  const int64_t parts = chunks_of(rows, chunk);
  std::vector<double> partial(static_cast<size_t>(parts * channels));
  const From* from = x.data<From>();
  parallel_for(parts, 2, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      double* __restrict sum = partial.data() + part * channels;
      for (int64_t row = part * chunk; row < std::min(rows, (part + 1) * chunk); ++row) {
        const From* __restrict values = from + row * x.pitch();
        for (int64_t c = 0; c < channels; ++c) sum[c] += widened(values[c]);
      }
    }
  });
  tree_sum(partial.data(), parts, channels);
  To* to = sums.data<To>();
  for (int64_t c = 0; c < channels; ++c)
    to[c] = static_cast<To>(static_cast<double>(to[c]) + partial[static_cast<size_t>(c)]);
}

}  // namespace

void channel_sums(const Tensor& x, const Tensor& sums) {
  check_channel_sums(x, sums);
  const ProfileScope scope("channel_sums", x.bytes(), x.numel());
  dispatch_floating("channel_sums", x.dtype(), [&](auto from) {
    dispatch_real("channel_sums", sums.dtype(),
                  [&](auto to) { channel_sums_typed<decltype(from), decltype(to)>(x, sums); });
  });
}

void squared_norm(const Tensor& x, const Tensor& sum) {
  check_squared_norm(sum);
  const ProfileScope scope("squared_norm", x.bytes(), 2 * x.numel());
  double* to = sum.data<double>();
  *to = 0.0;
  if (x.numel() == 0) return;
  const int64_t rows = x.is_dense() ? 1 : x.rows();
  std::vector<double> norms(static_cast<size_t>(rows));
  dispatch_floating("squared_norm", x.dtype(), [&](auto typed) {
    using T = decltype(typed);
    row_norms(x.data<T>(), rows, x.numel() / rows, x.pitch(), norms.data());
  });
  tree_sum(norms.data(), rows, 1);
  *to = norms[0];
}

void squared_difference(const Tensor& a, const Tensor& b, const Tensor& sums) {
  check_squared_difference(a, b, sums);
  const ProfileScope scope("squared_difference", a.bytes() + b.bytes(), 5 * a.numel());
  double* to = sums.data<double>();
  dispatch_real("squared_difference", a.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const Tensor left = a.dense();
    const Tensor right = b.dense();
    const T* l = left.data<T>();
    const T* r = right.data<T>();
    to[0] = parallel_sum(a.numel(), [=](int64_t i) {
      const double difference = widened(l[i]) - widened(r[i]);
      return difference * difference;
    });
    to[1] = parallel_sum(a.numel(), [=](int64_t i) { return widened(l[i]) * widened(l[i]); });
  });
}

void half_squared_norm(const Tensor& z, const Tensor& norms) {
  check_half_squared_norm(z, norms);
  const ProfileScope scope("half_squared_norm", z.bytes(), 2 * z.numel());
  double* to = norms.data<double>();
  dispatch_floating("half_squared_norm", z.dtype(), [&](auto typed) {
    using T = decltype(typed);
    row_norms(z.data<T>(), z.rows(), z.channels(), z.pitch(), to);
  });
  for (int64_t row = 0; row < z.rows(); ++row) to[row] *= 0.5;
}

bool all_finite(const Tensor& x) {
  const ProfileScope scope("all_finite", x.bytes(), x.numel());
  std::atomic<bool> finite{true};
  dispatch_floating("all_finite", x.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const T* values = x.data<T>();
    for_each_run(x, x.is_dense(), [&](int64_t row, int64_t column, int64_t count) {
      const T* v = values + row * x.pitch() + column;
      // Integers, not bools: this sum vectorises.
      uint32_t broken = 0;
      for (int64_t i = 0; i < count; ++i) broken |= reduce_math::is_broken(v[i]) ? 1U : 0U;
      if (broken != 0) finite.store(false, std::memory_order_relaxed);
    });
  });
  return finite.load();
}

}  // namespace pal::cpu
