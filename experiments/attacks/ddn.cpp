#include "experiments/attacks/ddn.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "experiments/attacks/segment_search.h"
#include "kernels/arrays/host_values.h"
#include "kernels/arrays/samples.h"
#include "runtime/error.h"

namespace pal {
namespace {

// Length of a step along the gradient at the end, as a share of that at the start (1).
constexpr double kLastStep = 0.01;

/// How far the farthest image in [0, 1] is from each.
std::vector<double> farthest_corners(const Tensor& images) {
  const std::vector<double> values = host_values(images);
  const size_t width = values.size() / static_cast<size_t>(images.size(0));
  std::vector<double> distances(static_cast<size_t>(images.size(0)), 0.0);
  for (size_t k = 0; k < values.size(); ++k) {
    const double most = std::max(values[k], 1.0 - values[k]);
    distances[k / width] += most * most;
  }
  for (double& distance : distances) distance = std::sqrt(distance);
  return distances;
}

}  // namespace

AttackResult attack_ddn(AttackedModel& model, const AttackBatch& batch, const DecoupledNorm& how,
                        const AttackObserver& observe) {
  expect(std::isfinite(how.kappa), "ddn: expected a finite kappa, got {}", how.kappa);
  const auto n = static_cast<size_t>(batch.count());
  const DeviceScope device(batch.images.device());
  const Tensor& original = batch.images;
  const AttackObjective objective = {.loss = AttackLoss::margin};
  std::vector<int64_t> rows(n);
  std::iota(rows.begin(), rows.end(), int64_t{0});
  AttackResult result;
  result.records.resize(n);
  BestImages best(batch);
  Tensor x = original.clone(Tag::stream);
  const Tensor moved = Tensor::empty(original.shape(), original.dtype(), Tag::stream);
  std::vector<double> distance(n, how.start);
  const std::vector<double> farthest = farthest_corners(original);
  const std::vector<double> ones(n, 1.0);
  const Tensor one = image_numbers(ones, x);
  const Tensor minus_one = image_numbers(std::vector<double>(n, -1.0), x);
  // Margins, and distances where these are wide enough.
  const auto judge = [&](const ObjectiveValues& values, const std::vector<double>& squared) {
    std::vector<double> offered(n, std::numeric_limits<double>::infinity());
    std::vector<bool> wide(n);
    for (size_t i = 0; i < n; ++i) {
      wide[i] = std::isfinite(values.margins[i]) && values.margins[i] < 0.0 &&
                values.margins[i] <= -how.kappa;
      result.records[i].broken = result.records[i].broken || !std::isfinite(values.margins[i]);
      if (wide[i]) offered[i] = std::sqrt(squared[i]);
      result.records[i].fell =
          result.records[i].fell || values.margins[i] < result.records[i].objective_start;
    }
    best.offer(x, rows, offered, wide);
    return wide;
  };
  for (int64_t t = 0; t < how.steps; ++t) {
    const std::vector<double> squared = image_distances(x, original).squared;
    ObjectiveValues values;
    const Tensor gradient = model.gradient(x, [&](const ImageScores& said) {
      ImageGradients gradients;
      values = evaluate_objective(objective, said, batch.goals, &gradients);
      if (observe) observe({t, x, rows, values.values, squared, values, said});
      return gradients;
    });
    if (t == 0)
      for (size_t i = 0; i < n; ++i) result.records[i].objective_start = values.margins[i];
    const std::vector<bool> wide = judge(values, squared);
    const std::vector<double> steepness = image_distances(gradient).squared;
    clear_broken(gradient, steepness);
    const double done = static_cast<double>(t) / static_cast<double>(how.steps);
    const double length =
        kLastStep + 0.5 * (1.0 - kLastStep) * (1.0 + std::cos(std::numbers::pi * done));
    std::vector<double> along(n);
    for (size_t i = 0; i < n; ++i) {
      const double norm = std::sqrt(steepness[i]);
      if (t == 0) result.records[i].gradient_start = norm;
      result.records[i].broken = result.records[i].broken || !std::isfinite(norm);
      along[i] = std::isfinite(norm) && norm > 0.0 ? -length / norm : 0.0;
      result.records[i].steps = t + 1;
    }
    // moved = x - original + step, scaled to the distance.
    PAL_BACKEND(x, combine_samples({{as_rows(x), one},
                                    {as_rows(original), minus_one},
                                    {as_rows(gradient), image_numbers(along, x)}},
                                   as_rows(moved)));
    const std::vector<double> length_now = image_distances(moved).squared;
    std::vector<double> scale(n);
    for (size_t i = 0; i < n; ++i) {
      // Back towards the original also where the model's answer is not finite.
      const bool back =
          wide[i] || !std::isfinite(steepness[i]) || !std::isfinite(values.margins[i]);
      distance[i] *= back ? 1.0 - how.factor : 1.0 + how.factor;
      distance[i] = std::min(distance[i], farthest[i]);
      const double norm = std::sqrt(length_now[i]);
      scale[i] = std::isfinite(norm) && norm > 0.0 ? distance[i] / norm : 0.0;
    }
    PAL_BACKEND(
        x, combine_samples({{as_rows(original), one}, {as_rows(moved), image_numbers(scale, x)}},
                           as_rows(x)));
    PAL_BACKEND(x, clamp_samples(as_rows(x), 0.0, 1.0, {}, {}));
  }
  judge(evaluate_objective(objective, model.scores(x), batch.goals),
        image_distances(x, original).squared);
  for (size_t i = 0; i < n; ++i)
    if (!best.reached(rows[i]))
      best.replace(images_at(x, {rows[i]}), {rows[i]}, {std::numeric_limits<double>::infinity()},
                   {false});
  result.images = best.images();
  if (how.search) {
    const SegmentResult near = search_segments(model, batch, result.images, {.kappa = how.kappa});
    for (size_t i = 0; i < n; ++i)
      if (near.found[i])
        best.replace(images_at(near.images, {rows[i]}), {rows[i]}, {best.objective(rows[i])},
                     {true});
  }
  const std::vector<double> squared = image_distances(result.images, original).squared;
  for (size_t i = 0; i < n; ++i) {
    result.records[i].reached = best.reached(rows[i]);
    result.records[i].objective =
        result.records[i].reached ? std::sqrt(squared[i]) : std::numeric_limits<double>::infinity();
  }
  return result;
}

}  // namespace pal
