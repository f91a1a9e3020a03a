#pragma once
#include <cstdint>
#include <functional>
#include <vector>

namespace pal {

/// What a model says of a batch of n images, on the host and in double.
struct ModelScores {
  int64_t classes = 0;
  /// [n, classes]: l_y, of which q(y|x) is the softmax; a ResNet's logits.
  std::vector<double> scores;
  /// [n]: -ln q(x) in nats per dimension, up to a constant (L_X); empty without a density.
  std::vector<double> nll_joint;
};

/// The derivatives of a function of ModelScores with respect to what these hold, in their layout.
/// nll_joint may be empty: the function does not depend on it.
struct ScoreGradients {
  std::vector<double> scores;
  std::vector<double> nll_joint;
};

/// Throws usage unless the derivatives fit what they are of.
void check_gradients_of(const ModelScores& scores, const ScoreGradients& gradients);

/// Differentiates a function of what a model says.
using ScoreFunction = std::function<ScoreGradients(const ModelScores&)>;

}  // namespace pal
