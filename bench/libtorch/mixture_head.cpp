#include "bench/libtorch/mixture_head.h"

#include <torch/csrc/autograd/custom_function.h>

namespace rival {
namespace {

/// P P^T. Its backward pass is one product; autograd's own of matmul would be two, of 5 GFLOP each
/// in ibinn-imagenet.
struct Gram : torch::autograd::Function<Gram> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& p) {
    context->save_for_backward({p});
    return at::matmul(p, p.t());
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    return {at::matmul(grads[0] + grads[0].t(), context->get_saved_variables()[0])};
  }
};

}  // namespace

MixtureHead::MixtureHead(Weights& weights, const NetworkConfig& config)
    : untuned_(weights.settings().untuned), dims_(config.dims()) {
  mean_ = weights.parameter("mu_mean", Group::means);
  if (config.rank > 0) {
    alpha_ = weights.parameter("mu_alpha", Group::means);
    prototypes_ = weights.parameter("mu_prototypes", Group::means);
  }
  if (config.head_permutation) order_.emplace(weights.buffer("head_permutation"));
}

at::Tensor MixtureHead::scores_of_dense_means(const at::Tensor& z) const {
  const at::Tensor mu =
      alpha_.defined() ? at::cat({mean_, at::matmul(alpha_, prototypes_)}, 1) : mean_;
  // The published code forms |z|^2 - 2 z mu^T + |mu|^2; |z|^2, which it then takes back, would cost
  // three digits of the logits and no time worth mention.
  return at::addmm(-0.5 * mu.square().sum(1), z, mu.t());
}

at::Tensor MixtureHead::scores(const at::Tensor& z) const {
  at::Tensor mean_part;
  if (order_) {
    const int64_t ordered = order_->index.size(0);
    mean_part = gather_last(z.slice(1, 0, ordered), *order_);
    if (untuned_ || !alpha_.defined())
      return scores_of_dense_means(at::cat({mean_part, z.slice(1, ordered)}, 1));
  } else {
    if (untuned_ || !alpha_.defined()) return scores_of_dense_means(z);
    mean_part = z.slice(1, 0, mean_.size(1));
  }
  const at::Tensor rest = z.slice(1, mean_.size(1));
  const at::Tensor gram = Gram::apply(prototypes_);
  const at::Tensor half_norms =
      0.5 * (mean_.square().sum(1) + (at::matmul(alpha_, gram) * alpha_).sum(1));
  const at::Tensor of_means = at::addmm(-half_norms, mean_part, mean_.t());
  return at::addmm(of_means, at::matmul(rest, prototypes_.t()), alpha_.t());
}

at::Tensor MixtureHead::loss(const at::Tensor& z, const at::Tensor& log_det,
                             const at::Tensor& labels) const {
  const at::Tensor l = scores(z);
  const at::Tensor half_norm = 0.5 * z.square().sum(1);
  const at::Tensor nll = (half_norm - at::logsumexp(l, 1) - log_det) / static_cast<double>(dims_);
  return 0.5 * (nll.mean() + at::cross_entropy_loss(l, labels));
}

}  // namespace rival
