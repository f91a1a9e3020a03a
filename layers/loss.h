#pragma once
#include <cmath>

#include "kernels/loss/mixture.h"
#include "runtime/tensor.h"

namespace pal {

/// The loss of a batch as a weighted sum of its two parts (layers/models/README.md, 7).
struct LossSpec {
  /// L = (L_X + beta L_Y) / (1 + beta); 0: L_X, infinity: L_Y.
  double beta = 1.0;
  /// Factor on the whole loss (burn-in).
  double factor = 1.0;

  /// The weights of L_X and L_Y, `factor` included.
  MixtureWeights weights() const {
    if (std::isinf(beta)) return {0.0, factor};
    return {factor / (1.0 + beta), factor * beta / (1.0 + beta)};
  }
};

/// The class scores of a batch and its losses, on the model's device. Those of a model without a
/// density, a ResNet, are its logits; its nll_joint and nll_class are zeros.
struct LossResult {
  Tensor scores;         ///< [n, classes], dtype of the parameters
  Tensor nll_joint;      ///< f64 [n], nats per dimension: of the mixture, L_X
  Tensor nll_class;      ///< f64 [n], nats per dimension: of the target's class alone
  Tensor cross_entropy;  ///< f64 [n], nats: L_Y
  /// f64 [3]: means over the batch of the weighted loss, of nll_joint and of cross_entropy.
  Tensor summary;

  /// Mean over the batch of the weighted loss; waits for the device.
  double loss() const { return summary.item(0); }
};

}  // namespace pal
