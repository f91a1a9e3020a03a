#include <algorithm>

#include "kernels/common/lanes.h"
#include "kernels/loss/mixture_check.h"
#include "kernels/loss/mixture_math.h"
#include "kernels/loss/softmax_math.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

template <typename T>
void losses_typed(const Tensor& scores, const Tensor& half_norm, const Tensor& log_det,
                  const Tensor& targets, int64_t dims, const MixtureWeights& weights,
                  const MixtureLosses& losses) {
  const int64_t classes = scores.channels();
  const double density = mixture_density_gradient(weights, scores.rows(), dims);
  const double class_weight = weights.classes / static_cast<double>(scores.rows());
  const auto width = static_cast<double>(dims);
  const auto write = [](const Tensor& target, int64_t n, double value) {
    if (target.defined()) target.data<double>()[n] = value;
  };
  parallel_for(
      scores.rows(), std::max<int64_t>(1, 2048 / classes), [&](int64_t begin, int64_t end) {
        for (int64_t n = begin; n < end; ++n) {
          const T* l = scores.data<T>() + n * scores.pitch();
          const T* t = targets.data<T>() + n * targets.pitch();
          const double log_sum = softmax_math::log_sum_exp(l, classes);
          double total = 0.0;
          double score = 0.0;
          for (int64_t y = 0; y < classes; ++y) {
            total += widened(t[y]);
            score += widened(t[y]) * widened(l[y]);
          }
          const double norm = half_norm.data<double>()[n];
          const double volume = log_det.data<double>()[n];
          write(losses.nll_joint, n, mixture_math::nll_joint(norm, log_sum, volume, width));
          write(losses.nll_class, n, mixture_math::nll_class(norm, score, total, volume, width));
          write(losses.cross_entropy, n, mixture_math::cross_entropy(log_sum, score, total));
          if (!losses.grad_scores.defined()) continue;
          T* grad = losses.grad_scores.data<T>() + n * losses.grad_scores.pitch();
          for (int64_t y = 0; y < classes; ++y)
            grad[y] = static_cast<T>(
                mixture_math::score_gradient(softmax_math::probability(l[y], log_sum),
                                             widened(t[y]), total, density, class_weight));
        }
      });
}

}  // namespace

void mixture_losses(const Tensor& scores, const Tensor& half_norm, const Tensor& log_det,
                    const Tensor& targets, int64_t dims, const MixtureWeights& weights,
                    const MixtureLosses& losses) {
  check_mixture_losses(scores, half_norm, log_det, targets, dims, losses);
  const ProfileScope scope("mixture_losses", 3 * scores.bytes());
  dispatch_real("mixture_losses", scores.dtype(), [&](auto typed) {
    losses_typed<decltype(typed)>(scores, half_norm, log_det, targets, dims, weights, losses);
  });
}

void mixture_summary(const Tensor& nll_joint, const Tensor& cross_entropy,
                     const MixtureWeights& weights, const Tensor& summary) {
  check_mixture_summary(nll_joint, cross_entropy, summary);
  const ProfileScope scope("mixture_summary", nll_joint.bytes() + cross_entropy.bytes());
  const double* joint = nll_joint.data<double>();
  const double* entropy = cross_entropy.data<double>();
  const auto mean = [count = nll_joint.numel()](auto&& term) {
    return parallel_sum(count, term) / static_cast<double>(count);
  };
  double* to = summary.data<double>();
  to[0] = mean([&](int64_t n) {
    return mixture_math::weighted_loss(joint[n], entropy[n], weights.density, weights.classes);
  });
  to[1] = mean([=](int64_t n) { return joint[n]; });
  to[2] = mean([=](int64_t n) { return entropy[n]; });
}

}  // namespace pal::cpu
