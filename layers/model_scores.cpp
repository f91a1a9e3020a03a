#include "layers/model_scores.h"

#include "runtime/error.h"

namespace pal {

void check_gradients_of(const ModelScores& scores, const ScoreGradients& gradients) {
  expect(gradients.scores.size() == scores.scores.size(),
         "input_gradient: expected {} derivatives of scores, got {}", scores.scores.size(),
         gradients.scores.size());
  expect(gradients.nll_joint.empty() || gradients.nll_joint.size() == scores.nll_joint.size(),
         "input_gradient: expected {} derivatives of densities, got {}", scores.nll_joint.size(),
         gradients.nll_joint.size());
}

}  // namespace pal
