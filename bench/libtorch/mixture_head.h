#pragma once
#include <optional>

#include "bench/libtorch/coupling_parts.h"

namespace rival {

/// The latent mixture (layers/models/README.md, 7): low-rank class means are never spelled out, but
/// untuned.
class MixtureHead {
 public:
  MixtureHead(Weights& weights, const NetworkConfig& config);
  /// <z, mu_y> - |mu_y|^2 / 2, [n, classes].
  at::Tensor scores(const at::Tensor& z) const;
  /// (L_X + L_Y) / 2 over the batch.
  at::Tensor loss(const at::Tensor& z, const at::Tensor& log_det, const at::Tensor& labels) const;

 private:
  at::Tensor scores_of_dense_means(const at::Tensor& z) const;

  bool untuned_;
  int64_t dims_;
  at::Tensor mean_, alpha_, prototypes_;
  std::optional<ChannelOrder> order_;
};

}  // namespace rival
