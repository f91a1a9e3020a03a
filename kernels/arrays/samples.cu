#include "kernels/arrays/samples.h"

#include "kernels/arrays/elementwise_map.cuh"
#include "kernels/arrays/samples_check.h"
#include "kernels/arrays/samples_math.h"
#include "kernels/common/gpu_dtypes.h"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

/// A SampleTerm as kernels take it.
struct Term {
  const float* values;
  const double* factors;
  bool sign;
};

struct Combine {
  Matrix<float> y;
  size_t count;
  Term terms[kMostTerms];

  template <int kWidth>
  __device__ void run(int64_t sample, int64_t column) const {
    Vec<float, kWidth> sum = {};
#pragma unroll
    for (size_t i = 0; i < kMostTerms; ++i) {
      if (i >= count) continue;
      const Term& term = terms[i];
      const auto factor = static_cast<float>(term.factors[sample]);
      const auto values = load_vector<kWidth>(term.values + sample * y.pitch + column);
#pragma unroll
      for (int k = 0; k < kWidth; ++k)
        sum.at[k] = samples_math::with_term(sum.at[k], factor, values.at[k], term.sign);
    }
    store_vector(y.at(sample, column), sum);
  }
};

struct Clamp {
  Matrix<float> y;
  float low;
  float high;

  template <int kWidth>
  __device__ void run(int64_t row, int64_t column) const {
    auto values = y.template load<kWidth>(row, column);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) values.at[k] = samples_math::clamped(values.at[k], low, high);
    store_vector(y.at(row, column), values);
  }
};

/// Clamps into a ball of each sample first.
struct ClampNear {
  Clamp range;
  Matrix<const float> centre;
  const double* radius;

  template <int kWidth>
  __device__ void run(int64_t sample, int64_t column) const {
    const auto reach = static_cast<float>(radius[sample]);
    const auto middles = centre.template load<kWidth>(sample, column);
    auto values = range.y.template load<kWidth>(sample, column);
#pragma unroll
    for (int k = 0; k < kWidth; ++k)
      values.at[k] = samples_math::clamped(
          samples_math::clamped_near(values.at[k], middles.at[k], reach), range.low, range.high);
    store_vector(range.y.at(sample, column), values);
  }
};

/// A block for each sample. b may be null.
__global__ void __launch_bounds__(kThreads)
    sample_distances_kernel(const float* a, const float* b, int64_t samples, int64_t width,
                            double* distances) {
  for (int64_t sample = blockIdx.x; sample < samples; sample += gridDim.x) {
    const int64_t first = sample * width;
    double squares = 0.0;
    double largest = 0.0;
#pragma unroll 4
    for (int64_t i = first + threadIdx.x; i < first + width; i += kThreads) {
      const double difference = samples_math::difference(a[i], b != nullptr ? b[i] : 0.0F);
      squares += difference * difference;
      largest = samples_math::larger(largest, std::abs(difference));
    }
    squares = block_sum<kThreads>(squares);
    // The maximum of a block leaves NaNs out, but a sum of squares is NaN where, and only where,
    // a difference is.
    largest = block_max<kThreads>(largest);
    if (threadIdx.x != 0) continue;
    distances[2 * sample] = squares;
    distances[2 * sample + 1] = squares != squares ? squares : largest;
  }
}

}  // namespace

void combine_samples(const std::vector<SampleTerm>& terms, const Tensor& y) {
  check_combine_samples(terms, y);
  expect_gpu_stream("combine_samples", y.dtype());
  const auto count = static_cast<int64_t>(terms.size());
  const ProfileScope scope("combine_samples", (count + 1) * y.bytes(), 2 * count * y.numel());
  Combine body{Matrix<float>(y), terms.size(), {}};
  // In the places of terms that are not there stands y, which fits.
  const Tensor* values[kMostTerms] = {&y, &y, &y, &y};
  for (size_t i = 0; i < terms.size(); ++i) {
    values[i] = &terms[i].values;
    body.terms[i] = {terms[i].values.data<float>(), terms[i].factors.data<double>(), terms[i].sign};
  }
  map_rows<kVectorWidth<float>>(body, {&y, values[0], values[1], values[2], values[3]});
}

void clamp_samples(const Tensor& y, double low, double high, const Tensor& centre,
                   const Tensor& radius) {
  check_clamp_samples(y, low, high, centre, radius);
  expect_gpu_stream("clamp_samples", y.dtype());
  const ProfileScope scope("clamp_samples", (centre.defined() ? 3 : 2) * y.bytes(), 2 * y.numel());
  const Clamp range{Matrix<float>(y), static_cast<float>(low), static_cast<float>(high)};
  if (!centre.defined()) return map_elements<kVectorWidth<float>>(range, {&y});
  const ClampNear body{range, Matrix<const float>(centre), radius.data<double>()};
  map_rows<kVectorWidth<float>>(body, {&y, &centre});
}

void sample_distances(const Tensor& a, const Tensor& b, const Tensor& distances) {
  check_sample_distances(a, b, distances);
  expect_gpu_stream("sample_distances", a.dtype());
  const ProfileScope scope("sample_distances", (b.defined() ? 2 : 1) * a.bytes(), 4 * a.numel());
  launch(sample_distances_kernel, grid_for(a.size(0), 1), kThreads, 0, stream(), a.data<float>(),
         b.defined() ? b.data<float>() : nullptr, a.size(0), a.size(1), distances.data<double>());
}

}  // namespace pal::cuda
