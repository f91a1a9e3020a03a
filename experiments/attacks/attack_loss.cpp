#include "experiments/attacks/attack_loss.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "kernels/loss/softmax_math.h"
#include "runtime/error.h"

namespace pal {
namespace {

/// The class of the largest score but one class's own; the first of equal ones.
int32_t best_but(std::span<const double> scores, int32_t own) {
  int32_t best = -1;
  for (int32_t y = 0; y < static_cast<int32_t>(scores.size()); ++y)
    if (y != own &&
        (best < 0 || scores[static_cast<size_t>(y)] > scores[static_cast<size_t>(best)]))
      best = y;
  return best;
}

/// A loss's value and its derivatives, which are added to `grad` times `weight`.
double cross_entropy(std::span<const double> scores, const AttackGoal& goal, double weight,
                     std::span<double> grad) {
  const auto classes = static_cast<int64_t>(scores.size());
  const double log_sum = softmax_math::log_sum_exp(scores.data(), classes);
  const bool targeted = goal.target >= 0;
  const auto of = static_cast<size_t>(targeted ? goal.target : goal.label);
  const double sign = targeted ? -1.0 : 1.0;
  for (size_t y = 0; y < grad.size(); ++y)
    grad[y] -= weight * sign * softmax_math::probability(scores[y], log_sum);
  grad[of] += weight * sign;
  return sign * (scores[of] - log_sum);
}

/// The margin over l_1 - l_3 (targeted: l_1 - (l_3 + l_4) / 2) of the ordered scores.
double logit_ratio(std::span<const double> scores, const AttackGoal& goal, const Margin& margin,
                   double weight, std::span<double> grad) {
  const bool targeted = goal.target >= 0;
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto most = static_cast<std::ptrdiff_t>(targeted ? 4 : 3);
  std::ranges::partial_sort(order, order.begin() + most,
                            [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  const double far = targeted ? 0.5 * (scores[order[2]] + scores[order[3]]) : scores[order[2]];
  // As in the authors' code: a tiny number keeps the quotient finite.
  const double scale = scores[order[0]] - far + 1e-12;
  // Targeted: the label against the target, whoever is ahead.
  const auto ahead = static_cast<size_t>(targeted ? goal.label : margin.ahead);
  const auto wanted = static_cast<size_t>(targeted ? goal.target : margin.wanted);
  const double difference = scores[ahead] - scores[wanted];
  const double ratio = difference / scale;
  grad[ahead] += weight / scale;
  grad[wanted] -= weight / scale;
  grad[order[0]] -= weight * ratio / scale;
  if (targeted) {
    grad[order[2]] += weight * 0.5 * ratio / scale;
    grad[order[3]] += weight * 0.5 * ratio / scale;
  } else {
    grad[order[2]] += weight * ratio / scale;
  }
  return ratio;
}

double class_loss(const AttackObjective& objective, std::span<const double> scores,
                  const AttackGoal& goal, const Margin& margin, std::span<double> grad) {
  switch (objective.loss) {
    case AttackLoss::cross_entropy:
      return cross_entropy(scores, goal, objective.weight, grad);
    case AttackLoss::dlr:
      return logit_ratio(scores, goal, margin, objective.weight, grad);
    case AttackLoss::margin:
    case AttackLoss::hinge:
      break;
  }
  if (objective.loss == AttackLoss::hinge && margin.value <= -objective.kappa)
    return -objective.kappa;
  grad[static_cast<size_t>(margin.ahead)] += objective.weight;
  grad[static_cast<size_t>(margin.wanted)] -= objective.weight;
  return margin.value;
}

}  // namespace

const char* name_of(AttackLoss loss) {
  switch (loss) {
    case AttackLoss::cross_entropy:
      return "ce";
    case AttackLoss::dlr:
      return "dlr";
    case AttackLoss::margin:
      return "margin";
    case AttackLoss::hinge:
      break;
  }
  return "hinge";
}

Margin margin_of(std::span<const double> scores, const AttackGoal& goal) {
  Margin margin;
  if (goal.target >= 0) {
    margin.ahead = best_but(scores, goal.target);
    margin.wanted = goal.target;
  } else {
    margin.ahead = goal.label;
    margin.wanted = best_but(scores, goal.label);
  }
  margin.value =
      scores[static_cast<size_t>(margin.ahead)] - scores[static_cast<size_t>(margin.wanted)];
  return margin;
}

ObjectiveValues evaluate_objective(const AttackObjective& objective, const ImageScores& said,
                                   const std::vector<AttackGoal>& goals,
                                   ImageGradients* gradients) {
  const auto n = static_cast<size_t>(said.count());
  expect(goals.size() == n, "attack: {} goals for {} images", goals.size(), n);
  expect(objective.d == 0.0 || !said.log_density.empty(),
         "attack: a detection term needs a model with a density");
  ImageGradients unused;
  ImageGradients& to = gradients != nullptr ? *gradients : unused;
  to.scores.assign(said.scores.size(), 0.0);
  to.log_density.clear();
  if (objective.d != 0.0) to.log_density.assign(n, 0.0);
  ObjectiveValues result;
  for (size_t i = 0; i < n; ++i) {
    const std::span<const double> row = said.row(static_cast<int64_t>(i));
    const AttackGoal& goal = goals[i];
    const int64_t least = goal.target >= 0 ? 4 : 3;
    expect(objective.loss != AttackLoss::dlr || said.classes >= least,
           "attack: the loss dlr needs {} classes; the model has {}", least, said.classes);
    const Margin margin = margin_of(row, goal);
    const std::span<double> grad = std::span(to.scores).subspan(i * row.size(), row.size());
    double value = objective.weight * class_loss(objective, row, goal, margin, grad);
    if (objective.d != 0.0) {
      const double off = objective.median - said.log_density[i];
      value += objective.d * off * off;
      to.log_density[i] = -2.0 * objective.d * off;
    }
    result.values.push_back(value);
    result.margins.push_back(margin.value);
    result.reached.push_back(margin.value < 0.0 && std::isfinite(margin.value));
  }
  return result;
}

}  // namespace pal
