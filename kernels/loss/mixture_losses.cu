#include "kernels/arrays/elementwise_map.cuh"
#include "kernels/common/gpu_dtypes.h"
#include "kernels/loss/mixture_check.h"
#include "kernels/loss/mixture_math.h"
#include "kernels/loss/softmax_rows.cuh"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

/// The number of dimensions, and the weights of the gradients: those of the loss over the batch.
struct Weights {
  double dims;
  double density;  ///< mixture_density_gradient
  double classes;  ///< MixtureWeights::classes / n
};

/// Where MixtureLosses lie; null where a result is left out.
struct Outputs {
  double* nll_joint;
  double* nll_class;
  double* cross_entropy;
  float* grad_scores;
  int64_t grad_pitch;
};

__global__ void __launch_bounds__(kRowThreads)
    mixture_losses_kernel(Matrix<const float> scores, Matrix<const float> targets,
                          const double* half_norm, const double* log_det, int64_t samples,
                          int64_t classes, Weights weights, Outputs to) {
  for (int64_t n = blockIdx.x; n < samples; n += gridDim.x) {
    const float* l = scores.at(n, 0);
    const float* t = targets.at(n, 0);
    const double log_sum = row_log_sum_exp(l, classes);
    double total = 0.0;
    double score = 0.0;
    for_each_class(classes, [&](int64_t y) {
      const auto target = static_cast<double>(t[y]);
      total += target;
      score += target * static_cast<double>(l[y]);
    });
    total = block_sum<kRowThreads>(total);
    score = block_sum<kRowThreads>(score);
    if (threadIdx.x == 0) {
      const double norm = half_norm[n];
      const double volume = log_det[n];
      if (to.nll_joint != nullptr)
        to.nll_joint[n] = mixture_math::nll_joint(norm, log_sum, volume, weights.dims);
      if (to.nll_class != nullptr)
        to.nll_class[n] = mixture_math::nll_class(norm, score, total, volume, weights.dims);
      if (to.cross_entropy != nullptr)
        to.cross_entropy[n] = mixture_math::cross_entropy(log_sum, score, total);
    }
    if (to.grad_scores == nullptr) continue;
    for_each_class(classes, [&](int64_t y) {
      to.grad_scores[n * to.grad_pitch + y] = static_cast<float>(mixture_math::score_gradient(
          softmax_math::probability(l[y], log_sum), static_cast<double>(t[y]), total,
          weights.density, weights.classes));
    });
  }
}

__global__ void __launch_bounds__(kThreads)
    mixture_summary_kernel(const double* nll_joint, const double* cross_entropy, int64_t samples,
                           double density, double classes, double* summary) {
  double loss = 0.0;
  double joint = 0.0;
  double entropy = 0.0;
  for (int64_t n = threadIdx.x; n < samples; n += kThreads) {
    loss += mixture_math::weighted_loss(nll_joint[n], cross_entropy[n], density, classes);
    joint += nll_joint[n];
    entropy += cross_entropy[n];
  }
  loss = block_sum<kThreads>(loss);
  joint = block_sum<kThreads>(joint);
  entropy = block_sum<kThreads>(entropy);
  if (threadIdx.x != 0) return;
  const auto count = static_cast<double>(samples);
  summary[0] = loss / count;
  summary[1] = joint / count;
  summary[2] = entropy / count;
}

double* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data<double>() : nullptr;
}

}  // namespace

void mixture_losses(const Tensor& scores, const Tensor& half_norm, const Tensor& log_det,
                    const Tensor& targets, int64_t dims, const MixtureWeights& weights,
                    const MixtureLosses& losses) {
  check_mixture_losses(scores, half_norm, log_det, targets, dims, losses);
  expect_gpu_stream("mixture_losses", scores.dtype());
  const ProfileScope scope("mixture_losses", 3 * scores.bytes());
  const int64_t samples = scores.rows();
  const Weights of_gradients{static_cast<double>(dims),
                             mixture_density_gradient(weights, samples, dims),
                             weights.classes / static_cast<double>(samples)};
  const Tensor& grad = losses.grad_scores;
  const Outputs outputs{data_or_null(losses.nll_joint), data_or_null(losses.nll_class),
                        data_or_null(losses.cross_entropy),
                        grad.defined() ? grad.data<float>() : nullptr, grad.pitch()};
  launch(mixture_losses_kernel, grid_for(samples, 1), kRowThreads, 0, stream(),
         Matrix<const float>(scores), Matrix<const float>(targets), half_norm.data<double>(),
         log_det.data<double>(), samples, scores.channels(), of_gradients, outputs);
}

void mixture_summary(const Tensor& nll_joint, const Tensor& cross_entropy,
                     const MixtureWeights& weights, const Tensor& summary) {
  check_mixture_summary(nll_joint, cross_entropy, summary);
  const ProfileScope scope("mixture_summary", nll_joint.bytes() + cross_entropy.bytes());
  launch(mixture_summary_kernel, 1, kThreads, 0, stream(), nll_joint.data<double>(),
         cross_entropy.data<double>(), nll_joint.numel(), weights.density, weights.classes,
         summary.data<double>());
}

}  // namespace pal::cuda
