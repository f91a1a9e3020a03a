#include "experiments/attacks/carlini_wagner.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "experiments/attacks/segment_search.h"
#include "kernels/arrays/host_values.h"
#include "kernels/optimizer/tanh_adam.h"
#include "runtime/error.h"

namespace pal {
namespace {

// A last objective that is higher than the best one by this share of the way down is told.
constexpr double kClearlyAbove = 0.01;

/// Images as v of (tanh(v) + 1) / 2, drawn in a little.
Tensor unbounded(const Tensor& images, double drawn_in) {
  std::vector<double> values = host_values(images);
  for (double& x : values) x = std::atanh((2.0 * x - 1.0) * (1.0 - drawn_in));
  const DeviceScope device(images.device());
  return tensor_of(values, images.shape(), images.dtype());
}

/// The images that are still attacked, and what is kept for each.
struct Running {
  std::vector<int64_t> rows;  // of the batch
  std::vector<AttackGoal> goals;
  std::vector<bool> going;
  std::vector<int64_t> waited;  // steps since the objective was lowest
  Tensor original, v, first, second, x;

  size_t count() const { return rows.size(); }
  int64_t active() const { return std::ranges::count(going, true); }

  /// Leaves out those that have stopped.
  void compact() {
    std::vector<int64_t> kept;
    for (size_t i = 0; i < count(); ++i)
      if (going[i]) kept.push_back(static_cast<int64_t>(i));
    for (Tensor* const each : {&original, &v, &first, &second, &x}) *each = images_at(*each, kept);
    for (size_t i = 0; i < kept.size(); ++i) {
      const auto from = static_cast<size_t>(kept[i]);
      rows[i] = rows[from];
      goals[i] = goals[from];
      waited[i] = waited[from];
    }
    rows.resize(kept.size());
    goals.resize(kept.size());
    waited.resize(kept.size());
    going.assign(kept.size(), true);
  }
};

class CarliniWagnerRun {
 public:
  CarliniWagnerRun(AttackedModel& model, const AttackBatch& batch, const CarliniWagner& how,
                   const AttackObserver& observe)
      : model_(model), batch_(batch), how_(how), observe_(observe), best_(batch) {
    objective_ = {AttackLoss::hinge, how.c, how.kappa, how.d, how.median};
    result_.records.resize(static_cast<size_t>(batch.count()));
    const DeviceScope device(batch.images.device());
    running_.rows.resize(static_cast<size_t>(batch.count()));
    std::iota(running_.rows.begin(), running_.rows.end(), int64_t{0});
    running_.goals = batch.goals;
    running_.going.assign(running_.count(), true);
    running_.waited.assign(running_.count(), 0);
    running_.original = batch.images;
    running_.v = unbounded(batch.images, how.drawn_in);
    running_.first = Tensor::zeros(batch.images.shape(), batch.images.dtype(), Tag::stream);
    running_.second = Tensor::zeros(batch.images.shape(), batch.images.dtype(), Tag::stream);
    running_.x = Tensor::empty(batch.images.shape(), batch.images.dtype(), Tag::stream);
    PAL_BACKEND(running_.v, tanh_images(as_rows(running_.v), as_rows(running_.x)));
  }

  AttackResult run() {
    start();
    for (int64_t t = 1; t <= how_.steps && running_.active() > 0; ++t) {
      if (2 * running_.active() <= static_cast<int64_t>(running_.count()) && !observe_)
        running_.compact();
      step(t);
    }
    finish();
    return std::move(result_);
  }

 private:
  /// The objective of the images themselves, which stand for the results of images that never
  /// improve.
  void start() {
    const ImageScores said = model_.scores(batch_.images);
    const ObjectiveValues values = evaluate_objective(objective_, said, batch_.goals);
    best_.replace(batch_.images, running_.rows, values.values, values.reached);
    for (size_t i = 0; i < result_.records.size(); ++i)
      result_.records[i].objective_start = values.values[i];
  }

  double rate_of(int64_t t) const {
    if (!how_.cosine) return how_.rate;
    const double done = static_cast<double>(t - 1) / static_cast<double>(how_.steps);
    return 0.5 * how_.rate * (1.0 + std::cos(std::numbers::pi * done));
  }

  void step(int64_t t) {
    const ImageDistances moved = image_distances(running_.x, running_.original);
    ObjectiveValues values;
    std::vector<double> total;
    const Tensor gradient = model_.gradient(running_.x, [&](const ImageScores& said) {
      ImageGradients gradients;
      values = evaluate_objective(objective_, said, running_.goals, &gradients);
      total = values.values;
      for (size_t i = 0; i < total.size(); ++i) total[i] += moved.squared[i];
      if (observe_)
        observe_({t - 1, running_.x, running_.rows, total, moved.squared, values, said});
      return gradients;
    });
    const ImageDistances steepness = image_distances(gradient);
    judge(values, total, &steepness.squared);
    AdamNumbers numbers;
    numbers.correction1 = 1.0 - std::pow(numbers.beta1, static_cast<double>(t));
    numbers.correction2 = 1.0 - std::pow(numbers.beta2, static_cast<double>(t));
    std::vector<double> rates(running_.count(), rate_of(t));
    for (size_t i = 0; i < rates.size(); ++i) {
      if (!running_.going[i]) rates[i] = 0.0;
      if (!running_.going[i]) continue;
      AttackedImage& record = result_.records[static_cast<size_t>(running_.rows[i])];
      record.steps = t;
      if (t == 1) record.gradient_start = std::sqrt(steepness.squared[i]);
    }
    PAL_BACKEND(
        running_.v,
        tanh_adam_step(as_rows(running_.v), as_rows(running_.first), as_rows(running_.second),
                       as_rows(gradient), as_rows(running_.original),
                       image_numbers(rates, running_.x), numbers, as_rows(running_.x)));
  }

  /// Takes what the last answers are worth: bests, and which images stop. `steepness`: squared
  /// norms of gradients, null after the last step.
  void judge(ObjectiveValues& values, std::vector<double>& total,
             const std::vector<double>* steepness) {
    for (size_t i = 0; i < total.size(); ++i) {
      if (!running_.going[i]) continue;
      AttackedImage& record = result_.records[static_cast<size_t>(running_.rows[i])];
      const bool finite = std::isfinite(total[i]) && std::isfinite(values.margins[i]) &&
                          (steepness == nullptr || std::isfinite((*steepness)[i]));
      if (!finite) {
        record.broken = true;
        running_.going[i] = false;
      }
      // Drawing an image in for the first look is no step.
      record.fell =
          record.fell || (finite && record.steps > 0 && total[i] < record.objective_start);
      record.objective = total[i];  // of the last step, until finish() judges it
    }
    for (size_t i = 0; i < total.size(); ++i)
      if (!running_.going[i]) total[i] = std::numeric_limits<double>::infinity();
    const std::vector<bool> lower =
        best_.offer(running_.x, running_.rows, total, masked(values.reached));
    for (size_t i = 0; i < total.size(); ++i) {
      running_.waited[i] = lower[i] ? 0 : running_.waited[i] + 1;
      if (how_.patience > 0 && running_.waited[i] >= how_.patience) running_.going[i] = false;
    }
  }

  std::vector<bool> masked(const std::vector<bool>& reached) const {
    std::vector<bool> result(reached.size());
    for (size_t i = 0; i < reached.size(); ++i) result[i] = reached[i] && running_.going[i];
    return result;
  }

  void finish() {
    if (running_.active() > 0) {
      const ImageDistances moved = image_distances(running_.x, running_.original);
      const ImageScores said = model_.scores(running_.x);
      ObjectiveValues values = evaluate_objective(objective_, said, running_.goals);
      for (size_t i = 0; i < values.values.size(); ++i) values.values[i] += moved.squared[i];
      std::vector<double> total = values.values;
      if (observe_)
        observe_({how_.steps, running_.x, running_.rows, total, moved.squared, values, said});
      judge(values, total, nullptr);
    }
    for (size_t i = 0; i < result_.records.size(); ++i) {
      AttackedImage& record = result_.records[i];
      const double best = best_.objective(static_cast<int64_t>(i));
      record.ended_above =
          record.objective - best > kClearlyAbove * std::max(0.0, record.objective_start - best);
    }
    if (how_.search && std::isfinite(how_.kappa)) search();
    for (size_t i = 0; i < result_.records.size(); ++i) {
      result_.records[i].objective = best_.objective(static_cast<int64_t>(i));
      result_.records[i].reached = best_.reached(static_cast<int64_t>(i));
    }
    result_.images = best_.images();
  }

  void search() {
    const SegmentResult near =
        search_segments(model_, batch_, best_.images(), {.kappa = how_.kappa});
    ObjectiveValues values =
        evaluate_objective(objective_, model_.scores(near.images), batch_.goals);
    const ImageDistances moved = image_distances(near.images, batch_.images);
    std::vector<int64_t> rows;
    std::vector<double> objective;
    std::vector<bool> reached;
    for (size_t i = 0; i < values.values.size(); ++i) {
      const double total = values.values[i] + moved.squared[i];
      if (!near.found[i] || !(total <= best_.objective(static_cast<int64_t>(i)))) continue;
      rows.push_back(static_cast<int64_t>(i));
      objective.push_back(total);
      reached.push_back(values.reached[i]);
    }
    if (!rows.empty()) best_.replace(images_at(near.images, rows), rows, objective, reached);
  }

  AttackedModel& model_;
  const AttackBatch& batch_;
  const CarliniWagner& how_;
  const AttackObserver& observe_;
  AttackObjective objective_;
  BestImages best_;
  Running running_;
  AttackResult result_;
};

}  // namespace

AttackResult attack_carlini_wagner(AttackedModel& model, const AttackBatch& batch,
                                   const CarliniWagner& how, const AttackObserver& observe) {
  return CarliniWagnerRun(model, batch, how, observe).run();
}

}  // namespace pal
