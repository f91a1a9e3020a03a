#include "kernels/common/column_kernels.cuh"
#include "kernels/common/gpu_dtypes.h"
#include "kernels/norm/batch_norm.h"
#include "kernels/norm/batch_norm_check.h"
#include "kernels/norm/batch_norm_math.h"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

/// Sums: of x and of its square, relative to `shift`, a row: nothing cancels when the mean is far
/// from zero.
template <typename X, int kAccess>
struct StatisticsSums {
  static constexpr int kWidth = kAccess;
  static constexpr int kUnroll = 4;
  using Line = Vec<X, kWidth>;
  using Channels = Vec<float, kWidth>;

  __device__ Channels channels(const ColumnPlace& at) const {
    return channel_values<kWidth>(shift, true, at);
  }
  __device__ Line load(int64_t line, int element) const {
    return load_vector<kWidth>(x.line(line) + element);
  }
  __device__ void add(int64_t, int, const Channels& base, const Line& values, float* sum,
                      float* squares) const {
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      const float d = static_cast<float>(values.at[k]) - base.at[k];
      sum[k] += d;
      squares[k] += d * d;
    }
  }

  Lines<const X> x;
  const X* shift;
};

/// A channel's mean and variance from its two sums.
template <typename X>
struct MomentsOf {
  __device__ batch_norm_math::Moments operator()(int channel, double sum, double squares) const {
    return batch_norm_math::moments(static_cast<double>(static_cast<float>(shift[channel])), sum,
                                    squares, rows);
  }
  const X* shift;
  double rows;
};

/// Takes a channel's two sums and writes its mean and variance.
template <typename X>
struct WriteMoments {
  __device__ void operator()(int channel, double sum, double squares) const {
    const auto moments = moments_of(channel, sum, squares);
    mean[channel] = static_cast<float>(moments.mean);
    variance[channel] = static_cast<float>(moments.variance);
  }
  MomentsOf<X> moments_of;
  float* mean;
  float* variance;
};

/// Writes all of BatchStatistics for a channel. Everything follows from the rounded mean and
/// variance, as on the CPU.
struct StatisticsWriter {
  explicit StatisticsWriter(const BatchStatistics& s)
      : mean(s.mean.data<float>()),
        inv_std(s.inv_std.data<float>()),
        running_mean(s.running_mean.data<float>()),
        running_var(s.running_var.data<float>()),
        epsilon(s.epsilon),
        momentum(s.momentum) {}
  __device__ void operator()(int channel, const batch_norm_math::Moments& moments,
                             double rows) const {
    const auto batch_mean = static_cast<float>(moments.mean);
    const auto variance = static_cast<double>(static_cast<float>(moments.variance));
    mean[channel] = batch_mean;
    inv_std[channel] = static_cast<float>(batch_norm_math::inverse_deviation(variance, epsilon));
    move(running_mean[channel], static_cast<double>(batch_mean));
    move(running_var[channel], batch_norm_math::unbiased(variance, rows));
  }
  __device__ void move(float& running, double batch) const {
    running =
        static_cast<float>(batch_norm_math::moved(static_cast<double>(running), batch, momentum));
  }

  float* mean;
  float* inv_std;
  float* running_mean;
  float* running_var;
  double epsilon;
  double momentum;
};

/// Takes a channel's two sums and writes all of BatchStatistics.
template <typename X>
struct WriteStatistics {
  __device__ void operator()(int channel, double sum, double squares) const {
    write(channel, moments_of(channel, sum, squares), moments_of.rows);
  }
  MomentsOf<X> moments_of;
  StatisticsWriter write;
};

/// Calls finish(channel, sum, squares) for all channels, with the sums of StatisticsSums.
template <typename X, typename Finish>
void measure(const Tensor& x, const X* shift, const Finish& finish) {
  constexpr int kWidest = kVectorWidth<X>;
  sum_columns<kWidest>(
      ColumnLayout(kWidest, {x}), x.device(),
      [&](auto width, const ColumnTiles& tiles) {
        return StatisticsSums<X, width>{Lines<const X>(x, tiles), shift};
      },
      finish);
}

/// The moments of x's rows from sums relative to the first one.
template <typename X>
MomentsOf<X> moments_of_rows(const Tensor& x) {
  return {x.data<X>(), static_cast<double>(x.rows())};
}

template <typename X>
__global__ void __launch_bounds__(kThreads)
    statistics_of_kernel(const double* sums, int channels, WriteStatistics<X> write) {
  for (int64_t c = global_thread(); c < channels; c += global_threads())
    write(static_cast<int>(c), sums[c], sums[channels + c]);
}

template <typename X>
__global__ void __launch_bounds__(kThreads)
    part_kernel(const double* sums, const X* shift, int channels, double rows, double* part) {
  for (int64_t c = global_thread(); c < channels; c += global_threads()) {
    const auto own = batch_norm_math::part_of(static_cast<double>(static_cast<float>(shift[c])),
                                              sums[c], sums[channels + c], rows);
    part[c] = own.mean;
    part[channels + c] = own.deviations;
    if (c == 0) part[2 * channels] = own.rows;
  }
}

__global__ void __launch_bounds__(kThreads)
    combine_kernel(const double* parts, int64_t count, int channels, StatisticsWriter write) {
  for (int64_t c = global_thread(); c < channels; c += global_threads()) {
    const auto all = batch_norm_math::combined(parts, count, channels, c);
    write(static_cast<int>(c), batch_norm_math::moments(all), all.rows);
  }
}

template <typename Body>
void dispatch_input(const char* op, const Tensor& x, Body&& body) {
  refuse_f64(op, x.dtype());
  dispatch_batch_norm(op, x.dtype(), x.dtype(), [&](auto typed, auto) { body(typed); });
}

__global__ void __launch_bounds__(kThreads)
    inverse_deviation_kernel(const float* variance, int64_t count, double epsilon, float* inv_std) {
  for (int64_t i = global_thread(); i < count; i += global_threads())
    inv_std[i] = static_cast<float>(
        batch_norm_math::inverse_deviation(static_cast<double>(variance[i]), epsilon));
}

}  // namespace

void batch_statistics(const Tensor& x, const Tensor& mean, const Tensor& variance) {
  check_batch_statistics("batch_statistics", x, {mean, variance});
  const ProfileScope profile("batch_statistics", x.bytes());
  dispatch_input("batch_statistics", x, [&](auto typed) {
    using X = decltype(typed);
    measure(x, x.data<X>(),
            WriteMoments<X>{moments_of_rows<X>(x), mean.data<float>(), variance.data<float>()});
  });
}

void batch_norm_statistics(const Tensor& x, const BatchStatistics& s) {
  check_batch_norm_statistics(x, s);
  const ProfileScope profile("batch_norm_statistics", x.bytes());
  dispatch_input("batch_norm_statistics", x, [&](auto typed) {
    using X = decltype(typed);
    measure(x, x.data<X>(), WriteStatistics<X>{moments_of_rows<X>(x), StatisticsWriter(s)});
  });
}

void batch_norm_sums(const Tensor& x, const Tensor& shift, const Tensor& sums) {
  check_batch_norm_sums("batch_norm_sums", x, sums);
  expect_tensor("batch_norm_sums", "shift", shift, {x.channels()}, x.dtype());
  const ProfileScope profile("batch_norm_statistics", x.bytes());
  dispatch_input("batch_norm_sums", x, [&](auto typed) {
    using X = decltype(typed);
    measure(x, shift.data<X>(), AddSums(sums));
  });
}

void batch_norm_statistics_of(const Tensor& sums, const Tensor& shift, int64_t rows,
                              const BatchStatistics& s) {
  check_batch_norm_statistics_of(sums, shift, rows, s);
  const ProfileScope profile("batch_norm_statistics_of", sums.bytes());
  dispatch_input("batch_norm_statistics_of", shift, [&](auto typed) {
    using X = decltype(typed);
    const WriteStatistics<X> write{{shift.data<X>(), static_cast<double>(rows)},
                                   StatisticsWriter(s)};
    const auto channels = static_cast<int>(shift.numel());
    launch(statistics_of_kernel<X>, grid_for(channels, kThreads), kThreads, 0, stream(),
           sums.data<double>(), channels, write);
  });
}

void batch_norm_part(const Tensor& sums, const Tensor& shift, int64_t rows, const Tensor& part) {
  check_batch_norm_part(sums, shift, rows, part);
  const ProfileScope profile("batch_norm_part", sums.bytes() + part.bytes());
  dispatch_input("batch_norm_part", shift, [&](auto typed) {
    using X = decltype(typed);
    const auto channels = static_cast<int>(shift.numel());
    launch(part_kernel<X>, grid_for(channels, kThreads), kThreads, 0, stream(), sums.data<double>(),
           shift.data<X>(), channels, static_cast<double>(rows), part.data<double>());
  });
}

void batch_norm_combine(const Tensor& parts, const BatchStatistics& s) {
  check_batch_norm_combine(parts, s);
  refuse_f64("batch_norm_combine", s.mean.dtype());
  const ProfileScope profile("batch_norm_combine", parts.bytes());
  const auto channels = static_cast<int>(s.mean.numel());
  launch(combine_kernel, grid_for(channels, kThreads), kThreads, 0, stream(), parts.data<double>(),
         parts.rows(), channels, StatisticsWriter(s));
}

void inverse_deviation(const Tensor& variance, double epsilon, const Tensor& inv_std) {
  check_inverse_deviation(variance, inv_std);
  refuse_f64("inverse_deviation", variance.dtype());
  const ProfileScope profile("inverse_deviation", variance.bytes() + inv_std.bytes());
  const int64_t count = variance.numel();
  if (count == 0) return;
  launch(inverse_deviation_kernel, grid_for(count, kThreads), kThreads, 0, stream(),
         variance.data<float>(), count, epsilon, inv_std.data<float>());
}

}  // namespace pal::cuda
