#include "kernels/loss/softmax.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <type_traits>

#include "kernels/loss/softmax_check.h"
#include "kernels/loss/softmax_math.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

/// Rows of scores that make a chunk worth a thread; exp is dear, so fewer than for copies.
int64_t grain(const Tensor& scores) {
  return std::max<int64_t>(1, 2048 / std::max<int64_t>(1, scores.channels()));
}

/// Throws data for a label that is no class. Labels must be on the CPU for this, so other backends
/// leave it out.
void check_labels(const char* op, const Tensor& labels, int64_t classes) {
  const int32_t* values = labels.data<int32_t>();
  for (int64_t n = 0; n < labels.numel(); ++n)
    if (values[n] < 0 || values[n] >= classes)
      fail(ErrorKind::data, "{}: label {} of sample {}; expected 0 to {}", op, values[n], n,
           classes - 1);
}

/// check_labels if the targets are labels.
void check_targets(const char* op, const Tensor& targets, int64_t classes) {
  if (targets.dtype() == DType::i32) check_labels(op, targets, classes);
}

/// Calls body(row, scores of the row, log-sum-exp of the row) in parallel.
template <typename T, typename Body>
void for_each_row(const Tensor& scores, Body&& body) {
  const T* values = scores.data<T>();
  parallel_for(scores.rows(), grain(scores), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* s = values + row * scores.pitch();
      body(row, s, softmax_math::log_sum_exp(s, scores.channels()));
    }
  });
}

constexpr int64_t kLanes = 16;

/// exp(x) for x in [-700, 0] to a relative error of 1e-8, without a branch or a call, so that
/// compilers vectorise it: 2^n exp(r) with |r| <= ln(2) / 2 and Taylor's polynomial.
inline double near_exp(double x) {
  // Added to a double, it leaves the nearest whole number in the lowest bits.
  constexpr double kWhole = 0x1.8p52;
  const double shifted = x * 1.4426950408889634 + kWhole;
  const double r = x - (shifted - kWhole) * 0.6931471805599453;
  double p = 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  return p * std::bit_cast<double>((std::bit_cast<uint64_t>(shifted) + 1023) << 52);
}

/// The largest of a row's scores; none if one of them is not finite.
std::optional<float> largest_of_finite(const float* scores, int64_t classes) {
  float largest[kLanes];
  // x - x is 0 for finite numbers alone.
  float faults[kLanes] = {};
  std::fill_n(largest, kLanes, scores[0]);
  const auto take = [&](int64_t lane, float score) {
    largest[lane] = score > largest[lane] ? score : largest[lane];
    faults[lane] += score - score;
  };
  int64_t y = 0;
  for (; y + kLanes <= classes; y += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) take(lane, scores[y + lane]);
  for (int64_t lane = 0; y + lane < classes; ++lane) take(lane, scores[y + lane]);
  for (const float fault : faults)
    if (fault != 0.0F) return std::nullopt;
  return *std::max_element(largest, largest + kLanes);
}

/// The softmax of a row of finite scores into `out`, which may be the scores: one exponential each,
/// added in double, in lanes whose order does not depend on the processor.
void softmax_row(const float* scores, int64_t classes, float largest, float* out) {
  // Below this a float is 0.
  constexpr double kLeast = -700.0;
  double sums[kLanes] = {};
  // The number of values is a constant for all blocks but the last, so that their loops are unrolled.
  const auto take = [&](const float* from, auto count, float* to) {
    float block[kLanes];
    double powers[kLanes];
    std::fill_n(block, kLanes, largest);
    std::copy_n(from, static_cast<int64_t>(count), block);
#pragma omp simd
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const double shifted = static_cast<double>(block[lane]) - static_cast<double>(largest);
      powers[lane] = near_exp(shifted > kLeast ? shifted : kLeast);
      block[lane] = static_cast<float>(powers[lane]);
    }
    for (int64_t lane = 0; lane < count; ++lane) sums[lane] += powers[lane];
    std::copy_n(block, static_cast<int64_t>(count), to);
  };
  int64_t done = 0;
  for (; done + kLanes <= classes; done += kLanes)
    take(scores + done, std::integral_constant<int64_t, kLanes>(), out + done);
  take(scores + done, classes - done, out + done);
  for (int64_t step = kLanes / 2; step > 0; step /= 2)
    for (int64_t lane = 0; lane < step; ++lane) sums[lane] += sums[lane + step];
  const double factor = 1.0 / sums[0];
  for (int64_t y = 0; y < classes; ++y)
    out[y] = static_cast<float>(static_cast<double>(out[y]) * factor);
}

/// The softmax of all rows by the formulas of softmax_math, of float32 only where a row has
/// infinities or NaN.
template <typename T>
void softmax_rows(const Tensor& scores, const Tensor& probabilities) {
  const int64_t classes = scores.channels();
  parallel_for(scores.rows(), grain(scores), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* const s = scores.data<T>() + row * scores.pitch();
      T* const out = probabilities.data<T>() + row * probabilities.pitch();
      if constexpr (std::is_same_v<T, float>)
        if (const auto largest = largest_of_finite(s, classes)) {
          softmax_row(s, classes, *largest, out);
          continue;
        }
      const double log_sum = softmax_math::log_sum_exp(s, classes);
      for (int64_t y = 0; y < classes; ++y)
        out[y] = static_cast<T>(softmax_math::probability(s[y], log_sum));
    }
  });
}

}  // namespace

void softmax(const Tensor& scores, const Tensor& probabilities) {
  check_softmax(scores, probabilities);
  const ProfileScope scope("softmax", 2 * scores.bytes());
  dispatch_real("softmax", scores.dtype(),
                [&](auto typed) { softmax_rows<decltype(typed)>(scores, probabilities); });
}

void cross_entropy(const Tensor& scores, const Tensor& targets, const Tensor& losses) {
  check_cross_entropy(scores, targets, losses);
  check_targets("cross_entropy", targets, scores.channels());
  const ProfileScope scope("cross_entropy", scores.bytes());
  double* to = losses.data<double>();
  dispatch_real("cross_entropy", scores.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const bool hard = targets.dtype() == DType::i32;
    const int32_t* labels = hard ? targets.data<int32_t>() : nullptr;
    const T* soft = hard ? nullptr : targets.data<T>();
    for_each_row<T>(scores, [&](int64_t row, const T* s, double log_sum) {
      if (hard) {
        to[row] = log_sum - static_cast<double>(s[labels[row]]);
        return;
      }
      double loss = 0.0;
      const T* t = soft + row * targets.pitch();
      for (int64_t y = 0; y < scores.channels(); ++y)
        loss += static_cast<double>(t[y]) * (log_sum - static_cast<double>(s[y]));
      to[row] = loss;
    });
  });
}

void cross_entropy_backward(const Tensor& scores, const Tensor& targets, double weight,
                            const Tensor& grad_scores) {
  const char* op = "cross_entropy_backward";
  check_cross_entropy_backward(scores, targets, grad_scores);
  check_targets(op, targets, scores.channels());
  const ProfileScope scope(op, 2 * scores.bytes());
  dispatch_real(op, scores.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const bool hard = targets.dtype() == DType::i32;
    const int32_t* labels = hard ? targets.data<int32_t>() : nullptr;
    const T* soft = hard ? nullptr : targets.data<T>();
    T* to = grad_scores.data<T>();
    for_each_row<T>(scores, [&](int64_t row, const T* s, double log_sum) {
      const int64_t classes = scores.channels();
      const T* t = hard ? nullptr : soft + row * targets.pitch();
      double total = 1.0;
      if (!hard) {
        total = 0.0;
        for (int64_t y = 0; y < classes; ++y) total += static_cast<double>(t[y]);
      }
      T* out = to + row * grad_scores.pitch();
      for (int64_t y = 0; y < classes; ++y) {
        const double target = hard ? (y == labels[row] ? 1.0 : 0.0) : static_cast<double>(t[y]);
        const double probability = softmax_math::probability(s[y], log_sum);
        out[y] = static_cast<T>(softmax_math::score_gradient(weight, probability, target, total));
      }
    });
  });
}

void soft_targets(const Tensor& labels, double smoothing, const Tensor& targets) {
  check_soft_targets(labels, smoothing, targets);
  check_labels("soft_targets", labels, targets.channels());
  const ProfileScope scope("soft_targets", targets.bytes());
  const int32_t* label = labels.data<int32_t>();
  dispatch_real("soft_targets", targets.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const int64_t classes = targets.channels();
    for (int64_t n = 0; n < targets.rows(); ++n)
      for (int64_t y = 0; y < classes; ++y)
        targets.data<T>()[n * targets.pitch() + y] =
            static_cast<T>(softmax_math::smoothed(y == label[n], smoothing, classes));
  });
}

void argmax(const Tensor& scores, const Tensor& labels) {
  check_argmax(scores, labels);
  const ProfileScope scope("argmax", scores.bytes());
  dispatch_real("argmax", scores.dtype(), [&](auto typed) {
    using T = decltype(typed);
    for (int64_t n = 0; n < scores.rows(); ++n) {
      const T* s = scores.data<T>() + n * scores.pitch();
      int64_t best = 0;
      for (int64_t y = 1; y < scores.channels(); ++y)
        if (s[y] > s[best]) best = y;
      labels.data<int32_t>()[n] = static_cast<int32_t>(best);
    }
  });
}

void count_top_k(const Tensor& scores, const Tensor& labels, int64_t k, const Tensor& count) {
  check_count_top_k(scores, labels, k, count);
  check_labels("count_top_k", labels, scores.channels());
  const ProfileScope scope("count_top_k", scores.bytes());
  int64_t hits = 0;
  dispatch_real("count_top_k", scores.dtype(), [&](auto typed) {
    using T = decltype(typed);
    for (int64_t n = 0; n < scores.rows(); ++n) {
      const T* s = scores.data<T>() + n * scores.pitch();
      const int64_t label = labels.data<int32_t>()[n];
      int64_t before = 0;
      for (int64_t y = 0; y < scores.channels(); ++y)
        before += softmax_math::comes_before(s[y], y, s[label], label) ? 1 : 0;
      hits += before < k && s[label] == s[label] ? 1 : 0;
    }
  });
  count.data<double>()[0] = static_cast<double>(hits);
}

}  // namespace pal::cpu
