#include "kernels/norm/batch_norm.h"

#include "kernels/norm/batch_norm_lines.h"
#include "kernels/norm/batch_norm_math.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

using namespace batch_norm;

/// Sums of x - shift and of its square, [2][channels].
template <typename X>
std::vector<double> shifted_sums(const Tensor& x, const X* shift) {
  using C = Compute<X>;
  const int64_t channels = x.channels();
  const Lines lines(x, x.is_dense());
  const std::vector<C> shift_line = lines.repeated<C>(shift);
  const C* base = shift_line.data();
  return sum_rows<C>(lines, [&] {
    return [&, reader = LineReader<X>(x, lines)]<int64_t kCount>(
               int64_t row, int64_t step, int64_t count, C* first, C* second) mutable {
      const X* from[kCount];
      for (int64_t n = 0; n < kCount; ++n) from[n] = reader.read(row + n * step, count, n);
#pragma omp simd
      for (int64_t i = 0; i < count * channels; ++i) {
        C sum{0};
        C squares{0};
        for (int64_t n = 0; n < kCount; ++n) {
          const C d = static_cast<C>(from[n][i]) - base[i];
          sum += d;
          squares += d * d;
        }
        first[i] += sum;
        second[i] += squares;
      }
    };
  });
}

/// Overwrites mean and variance with those of `rows` rows, given their shifted_sums.
template <typename X, typename C = Compute<X>>
void write_moments(const X* shift, const double* sums, double rows, const Tensor& mean,
                   const Tensor& variance) {
  const int64_t channels = mean.numel();
  for (int64_t c = 0; c < channels; ++c) {
    const auto moments = batch_norm_math::moments(static_cast<double>(static_cast<C>(shift[c])),
                                                  sums[c], sums[channels + c], rows);
    mean.data<C>()[c] = static_cast<C>(moments.mean);
    variance.data<C>()[c] = static_cast<C>(moments.variance);
  }
}

/// Overwrites mean and variance with those of x's rows, by sums relative to the first row: nothing
/// cancels when the mean is far from zero.
template <typename X>
void moments_of_rows(const Tensor& x, const Tensor& mean, const Tensor& variance) {
  write_moments(x.data<X>(), shifted_sums(x, x.data<X>()).data(), static_cast<double>(x.rows()),
                mean, variance);
}

/// Overwrites inv_std with 1 / sqrt(variance + epsilon).
template <typename T>
void invert(const Tensor& variance, double epsilon, const Tensor& inv_std) {
  for (int64_t c = 0; c < variance.numel(); ++c)
    inv_std.data<T>()[c] = static_cast<T>(
        batch_norm_math::inverse_deviation(static_cast<double>(variance.data<T>()[c]), epsilon));
}

/// Fills `s`, but its mean, with what follows from a batch's mean and variance.
template <typename T>
void finish(const Tensor& mean, const Tensor& variance, double rows, const BatchStatistics& s) {
  invert<T>(variance, s.epsilon, s.inv_std);
  const auto move_one = [&](T& running, double batch) {
    running =
        static_cast<T>(batch_norm_math::moved(static_cast<double>(running), batch, s.momentum));
  };
  for (int64_t c = 0; c < mean.numel(); ++c) {
    move_one(s.running_mean.data<T>()[c], static_cast<double>(mean.data<T>()[c]));
    move_one(s.running_var.data<T>()[c],
             batch_norm_math::unbiased(static_cast<double>(variance.data<T>()[c]), rows));
  }
}

}  // namespace

void batch_statistics(const Tensor& x, const Tensor& mean, const Tensor& variance) {
  check_batch_statistics("batch_statistics", x, {mean, variance});
  const ProfileScope profile("batch_statistics", x.bytes());
  dispatch("batch_statistics", x.dtype(), x.dtype(),
           [&](auto typed, auto) { moments_of_rows<decltype(typed)>(x, mean, variance); });
}

void batch_norm_statistics(const Tensor& x, const BatchStatistics& s) {
  check_batch_norm_statistics(x, s);
  const ProfileScope profile("batch_norm_statistics", x.bytes());
  const Tensor variance =
      Tensor::empty(s.mean.shape(), s.mean.dtype(), Tag::workspace, s.mean.device());
  dispatch("batch_norm_statistics", x.dtype(), x.dtype(), [&](auto typed, auto) {
    using X = decltype(typed);
    moments_of_rows<X>(x, s.mean, variance);
    finish<Compute<X>>(s.mean, variance, static_cast<double>(x.rows()), s);
  });
}

void batch_norm_sums(const Tensor& x, const Tensor& shift, const Tensor& sums) {
  check_batch_norm_sums("batch_norm_sums", x, sums);
  expect_tensor("batch_norm_sums", "shift", shift, {x.channels()}, x.dtype());
  const ProfileScope profile("batch_norm_statistics", x.bytes());
  dispatch("batch_norm_sums", x.dtype(), x.dtype(), [&](auto typed, auto) {
    using X = decltype(typed);
    add_sums(shifted_sums(x, shift.data<X>()), sums);
  });
}

void batch_norm_statistics_of(const Tensor& sums, const Tensor& shift, int64_t rows,
                              const BatchStatistics& s) {
  check_batch_norm_statistics_of(sums, shift, rows, s);
  const Tensor variance =
      Tensor::empty(s.mean.shape(), s.mean.dtype(), Tag::workspace, s.mean.device());
  const auto count = static_cast<double>(rows);
  dispatch("batch_norm_statistics_of", shift.dtype(), shift.dtype(), [&](auto typed, auto) {
    using X = decltype(typed);
    write_moments(shift.data<X>(), sums.data<double>(), count, s.mean, variance);
    finish<Compute<X>>(s.mean, variance, count, s);
  });
}

void batch_norm_part(const Tensor& sums, const Tensor& shift, int64_t rows, const Tensor& part) {
  check_batch_norm_part(sums, shift, rows, part);
  const int64_t channels = shift.numel();
  const auto* from = sums.data<double>();
  auto* to = part.data<double>();
  dispatch("batch_norm_part", shift.dtype(), shift.dtype(), [&](auto typed, auto) {
    using X = decltype(typed);
    for (int64_t c = 0; c < channels; ++c) {
      const auto base = static_cast<double>(static_cast<Compute<X>>(shift.data<X>()[c]));
      const auto own =
          batch_norm_math::part_of(base, from[c], from[channels + c], static_cast<double>(rows));
      to[c] = own.mean;
      to[channels + c] = own.deviations;
    }
  });
  to[2 * channels] = static_cast<double>(rows);
}

void batch_norm_combine(const Tensor& parts, const BatchStatistics& s) {
  check_batch_norm_combine(parts, s);
  const int64_t channels = s.mean.numel();
  const auto* from = parts.data<double>();
  const Tensor variance =
      Tensor::empty(s.mean.shape(), s.mean.dtype(), Tag::workspace, s.mean.device());
  dispatch_real("batch_norm_combine", s.mean.dtype(), [&](auto typed) {
    using T = decltype(typed);
    for (int64_t c = 0; c < channels; ++c) {
      const auto moments =
          batch_norm_math::moments(batch_norm_math::combined(from, parts.rows(), channels, c));
      s.mean.data<T>()[c] = static_cast<T>(moments.mean);
      variance.data<T>()[c] = static_cast<T>(moments.variance);
    }
    finish<T>(s.mean, variance, batch_norm_math::combined(from, parts.rows(), channels, 0).rows, s);
  });
}

void inverse_deviation(const Tensor& variance, double epsilon, const Tensor& inv_std) {
  check_inverse_deviation(variance, inv_std);
  dispatch_real("inverse_deviation", variance.dtype(),
                [&](auto typed) { invert<decltype(typed)>(variance, epsilon, inv_std); });
}

}  // namespace pal::cpu
