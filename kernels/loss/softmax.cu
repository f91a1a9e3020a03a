#include "kernels/loss/softmax.h"

#include <limits>

#include "kernels/arrays/elementwise_map.cuh"
#include "kernels/arrays/reduce_launch.cuh"
#include "kernels/common/gpu_dtypes.h"
#include "kernels/loss/softmax_check.h"
#include "kernels/loss/softmax_rows.cuh"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

/// The targets of all rows: labels, or soft targets. A label that is no class has no target at all.
struct Targets {
  const int32_t* labels = nullptr;
  const float* soft = nullptr;
  int64_t pitch = 0;

  explicit Targets(const Tensor& targets) {
    if (targets.dtype() == DType::i32) {
      labels = targets.data<int32_t>();
    } else {
      soft = targets.data<float>();
      pitch = targets.pitch();
    }
  }

  __device__ double at(int64_t row, int64_t y) const {
    if (labels != nullptr) return y == labels[row] ? 1.0 : 0.0;
    return static_cast<double>(soft[row * pitch + y]);
  }
};

__global__ void __launch_bounds__(kRowThreads)
    softmax_kernel(Matrix<const float> scores, int64_t rows, int64_t classes, Matrix<float> to) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const float* s = scores.at(row, 0);
    const double log_sum = row_log_sum_exp(s, classes);
    for_each_class(classes, [&](int64_t y) {
      *to.at(row, y) = static_cast<float>(softmax_math::probability(s[y], log_sum));
    });
  }
}

__global__ void __launch_bounds__(kRowThreads)
    cross_entropy_kernel(Matrix<const float> scores, int64_t rows, int64_t classes, Targets targets,
                         double* losses) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const float* s = scores.at(row, 0);
    const double log_sum = row_log_sum_exp(s, classes);
    double loss = 0.0;
    for_each_class(classes, [&](int64_t y) {
      // With labels no other class counts, even if its score is infinite.
      const double target = targets.at(row, y);
      if (targets.labels == nullptr || target != 0.0)
        loss += target * (log_sum - static_cast<double>(s[y]));
    });
    loss = block_sum<kRowThreads>(loss);
    if (threadIdx.x == 0) losses[row] = loss;
  }
}

__global__ void __launch_bounds__(kRowThreads)
    cross_entropy_backward_kernel(Matrix<const float> scores, int64_t rows, int64_t classes,
                                  Targets targets, double weight, Matrix<float> grad) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const float* s = scores.at(row, 0);
    const double log_sum = row_log_sum_exp(s, classes);
    double total = 0.0;
    for_each_class(classes, [&](int64_t y) { total += targets.at(row, y); });
    total = block_sum<kRowThreads>(total);
    for_each_class(classes, [&](int64_t y) {
      *grad.at(row, y) = static_cast<float>(softmax_math::score_gradient(
          weight, softmax_math::probability(s[y], log_sum), targets.at(row, y), total));
    });
  }
}

struct SoftTargets {
  const int32_t* labels;
  double smoothing;
  int64_t classes;
  Matrix<float> targets;

  template <int kWidth>
  __device__ void run(int64_t row, int64_t column) const {
    Vec<float, kWidth> values;
#pragma unroll
    for (int k = 0; k < kWidth; ++k)
      values.at[k] =
          static_cast<float>(softmax_math::smoothed(column + k == labels[row], smoothing, classes));
    store_vector(targets.at(row, column), values);
  }
};

__global__ void __launch_bounds__(kRowThreads)
    argmax_kernel(Matrix<const float> scores, int64_t rows, int64_t classes, int32_t* labels) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const float* s = scores.at(row, 0);
    float largest = s[0];
    for_each_class(classes, [&](int64_t y) {
      if (s[y] > largest) largest = s[y];
    });
    largest = block_max<kRowThreads>(largest);
    int last_first = std::numeric_limits<int32_t>::min();
    for_each_class(classes, [&](int64_t y) {
      const int candidate = -static_cast<int>(y);
      if (s[y] == largest && candidate > last_first) last_first = candidate;
    });
    last_first = block_max<kRowThreads>(last_first);
    // Nothing is larger than a NaN in the first place.
    if (threadIdx.x == 0) labels[row] = s[0] == s[0] ? -last_first : 0;
  }
}

/// hits[row] = 1 if the row's label is among its k largest scores, else 0.
__global__ void __launch_bounds__(kRowThreads)
    top_k_kernel(Matrix<const float> scores, int64_t rows, int64_t classes, const int32_t* labels,
                 int64_t k, double* hits) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const float* s = scores.at(row, 0);
    const int32_t label = labels[row];
    const bool is_class = label >= 0 && label < classes;
    const float score = is_class ? s[label] : 0.0F;
    int before = 0;
    for_each_class(classes, [&](int64_t y) {
      before += softmax_math::comes_before(s[y], y, score, label) ? 1 : 0;
    });
    before = block_sum<kRowThreads>(before);
    if (threadIdx.x == 0) hits[row] = is_class && before < k && score == score ? 1.0 : 0.0;
  }
}

/// Launches a kernel of one block per row with the scores and their shape as first arguments.
template <typename Kernel, typename... Arguments>
void launch_rows(Kernel kernel, const Tensor& scores, Arguments... arguments) {
  launch(kernel, grid_for(scores.rows(), 1), kRowThreads, 0, stream(), Matrix<const float>(scores),
         scores.rows(), scores.channels(), arguments...);
}

}  // namespace

void softmax(const Tensor& scores, const Tensor& probabilities) {
  check_softmax(scores, probabilities);
  expect_gpu_stream("softmax", scores.dtype());
  const ProfileScope scope("softmax", 2 * scores.bytes());
  launch_rows(softmax_kernel, scores, Matrix<float>(probabilities));
}

void cross_entropy(const Tensor& scores, const Tensor& targets, const Tensor& losses) {
  check_cross_entropy(scores, targets, losses);
  expect_gpu_stream("cross_entropy", scores.dtype());
  const ProfileScope scope("cross_entropy", scores.bytes());
  launch_rows(cross_entropy_kernel, scores, Targets(targets), losses.data<double>());
}

void cross_entropy_backward(const Tensor& scores, const Tensor& targets, double weight,
                            const Tensor& grad_scores) {
  check_cross_entropy_backward(scores, targets, grad_scores);
  expect_gpu_stream("cross_entropy_backward", scores.dtype());
  const ProfileScope scope("cross_entropy_backward", 2 * scores.bytes());
  launch_rows(cross_entropy_backward_kernel, scores, Targets(targets), weight,
              Matrix<float>(grad_scores));
}

void soft_targets(const Tensor& labels, double smoothing, const Tensor& targets) {
  check_soft_targets(labels, smoothing, targets);
  expect_gpu_stream("soft_targets", targets.dtype());
  const ProfileScope scope("soft_targets", targets.bytes());
  const SoftTargets body{labels.data<int32_t>(), smoothing, targets.channels(),
                         Matrix<float>(targets)};
  map_rows<kVectorWidth<float>>(body, {&targets});
}

void argmax(const Tensor& scores, const Tensor& labels) {
  check_argmax(scores, labels);
  expect_gpu_stream("argmax", scores.dtype());
  const ProfileScope scope("argmax", scores.bytes());
  launch_rows(argmax_kernel, scores, labels.data<int32_t>());
}

void count_top_k(const Tensor& scores, const Tensor& labels, int64_t k, const Tensor& count) {
  check_count_top_k(scores, labels, k, count);
  expect_gpu_stream("count_top_k", scores.dtype());
  const ProfileScope scope("count_top_k", scores.bytes());
  const Tensor hits = Tensor::empty({scores.rows()}, DType::f64, Tag::workspace, scores.device());
  launch_rows(top_k_kernel, scores, labels.data<int32_t>(), k, hits.data<double>());
  sum_parts(hits, 1, scores.rows(), 1.0, count.data<double>());
}

}  // namespace pal::cuda
