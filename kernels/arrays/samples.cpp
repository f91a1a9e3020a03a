#include "kernels/arrays/samples.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "kernels/arrays/samples_check.h"
#include "kernels/arrays/samples_math.h"
#include "kernels/common/lanes.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

/// Elements of a sample that one task takes.
constexpr int64_t kSampleChunk = 8192;

/// Calls body(sample, first, count) for pieces of all samples, in parallel.
template <typename Body>
void for_each_piece(const Tensor& like, Body&& body) {
  const int64_t width = like.size(1);
  const int64_t parts = (width + kSampleChunk - 1) / kSampleChunk;
  parallel_for(like.size(0) * parts, std::max<int64_t>(1, 16384 / std::min(width, kSampleChunk)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t task = begin; task < end; ++task) {
                   const int64_t first = task % parts * kSampleChunk;
                   body(task / parts, first, std::min(kSampleChunk, width - first), task);
                 }
               });
}

}  // namespace

void combine_samples(const std::vector<SampleTerm>& terms, const Tensor& y) {
  check_combine_samples(terms, y);
  const auto count = static_cast<int64_t>(terms.size());
  const ProfileScope scope("combine_samples", (count + 1) * y.bytes(), 2 * count * y.numel());
  dispatch_real("combine_samples", y.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const int64_t width = y.size(1);
    for_each_piece(y, [&](int64_t sample, int64_t first, int64_t length, int64_t) {
      const int64_t at = sample * width + first;
      std::array<T, kSampleChunk> sum{};
      for (const SampleTerm& term : terms) {
        const T factor = static_cast<T>(term.factors.data<double>()[sample]);
        const T* const from = term.values.data<T>() + at;
        const bool sign = term.sign;
        for (size_t i = 0; i < static_cast<size_t>(length); ++i)
          sum[i] = samples_math::with_term(sum[i], factor, from[i], sign);
      }
      std::copy_n(sum.begin(), length, y.data<T>() + at);
    });
  });
}

void clamp_samples(const Tensor& y, double low, double high, const Tensor& centre,
                   const Tensor& radius) {
  check_clamp_samples(y, low, high, centre, radius);
  const ProfileScope scope("clamp_samples", (centre.defined() ? 3 : 2) * y.bytes(), 2 * y.numel());
  dispatch_real("clamp_samples", y.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const int64_t width = y.size(1);
    for_each_piece(y, [&](int64_t sample, int64_t first, int64_t length, int64_t) {
      T* const to = y.data<T>() + sample * width + first;
      if (centre.defined()) {
        const T* const middle = centre.data<T>() + sample * width + first;
        const T reach = static_cast<T>(radius.data<double>()[sample]);
        for (int64_t i = 0; i < length; ++i)
          to[i] = samples_math::clamped_near(to[i], middle[i], reach);
      }
      for (int64_t i = 0; i < length; ++i)
        to[i] = samples_math::clamped(to[i], static_cast<T>(low), static_cast<T>(high));
    });
  });
}

void sample_distances(const Tensor& a, const Tensor& b, const Tensor& distances) {
  check_sample_distances(a, b, distances);
  const ProfileScope scope("sample_distances", (b.defined() ? 2 : 1) * a.bytes(), 4 * a.numel());
  const int64_t n = a.size(0), width = a.size(1);
  const int64_t parts = (width + kSampleChunk - 1) / kSampleChunk;
  std::vector<double> sums(static_cast<size_t>(n * parts)), largest(static_cast<size_t>(n * parts));
  dispatch_real("sample_distances", a.dtype(), [&](auto typed) {
    using T = decltype(typed);
    for_each_piece(a, [&](int64_t sample, int64_t first, int64_t length, int64_t task) {
      const T* const left = a.data<T>() + sample * width + first;
      const T* const right = b.defined() ? b.data<T>() + sample * width + first : nullptr;
      const auto difference = [=](int64_t i) {
        return samples_math::difference(left[i], right != nullptr ? right[i] : T{0});
      };
      double most = 0.0;
      for (int64_t i = 0; i < length; ++i)
        most = samples_math::larger(most, std::abs(difference(i)));
      largest[static_cast<size_t>(task)] = most;
      sums[static_cast<size_t>(task)] =
          lane_sum(length, [=](int64_t i) { return difference(i) * difference(i); });
    });
  });
  double* const to = distances.data<double>();
  for (int64_t sample = 0; sample < n; ++sample) {
    double* const parts_of_sample = sums.data() + sample * parts;
    tree_sum(parts_of_sample, parts, 1);
    to[2 * sample] = parts_of_sample[0];
    double most = 0.0;
    for (int64_t part = 0; part < parts; ++part)
      most = samples_math::larger(most, largest[static_cast<size_t>(sample * parts + part)]);
    to[2 * sample + 1] = most;
  }
}

}  // namespace pal::cpu
