#include "experiments/training/best_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

#include "experiments/training/averaged_weights.h"
#include "runtime/log.h"

namespace pal {
namespace {

/// Validation needs no memory for gradients, but must not need more than training.
constexpr int64_t kValidationBatch = 500;

void set_losses(MetricsRow& row, const EvaluationResult& result) {
  const EvaluationSummary& s = result.summary;
  if (result.has_density) row.set("loss_x", s.loss_x);
  row.set("loss_y", s.loss_y).set("ce", s.ce);
  if (result.has_density) row.set("bits_per_dim", s.bits_per_dim);
  row.set("acc1", s.acc1);
}

}  // namespace

EvaluationResult BestModel::evaluate(std::vector<int64_t> images, bool stoppable) {
  const TrainOptions& options = setup_.options;
  EvaluationSpec spec;
  spec.batch_size = std::min<int64_t>(kValidationBatch, options.batch_size);
  spec.beta = options.beta;
  spec.smoothing = options.smoothing;
  spec.noise = options.noise;
  spec.seed = options.seed;
  spec.indices = std::move(images);
  spec.transform = evaluation_transform(options.data);
  spec.workers = worker_count(options.data, setup_.device);
  spec.bad_images = setup_.data.validation_log();
  if (!setup_.ranks.alone()) spec.ranks = &setup_.ranks.host();
  if (stoppable) spec.stop = [this] { return signal_.caught() != 0; };
  const auto start = std::chrono::steady_clock::now();
  EvaluationResult result = readable([&] {
    return evaluate_model(*setup_.model, setup_.data.input(), setup_.data.validation_set(), spec);
  });
  if (stoppable)
    seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

MetricsRow BestModel::row_at(const char* kind, double seconds) const {
  MetricsRow row(kind);
  row.set("t", seconds).set_count("step", state_.progress.step);
  return row;
}

void BestModel::check_sample(double seconds) {
  const EvaluationResult result =
      evaluate(setup_.data.validation_sample(setup_.options.check_images), false);
  MetricsRow row = row_at("eval", seconds);
  row.set_count("images", result.summary.images);
  set_losses(row, result);
  metrics_.append(row);
}

BestModel::Candidate BestModel::candidate(const EvaluationResult& evaluated, Weights weights,
                                          double seconds, const std::string& model) {
  const EvaluationSummary& result = evaluated.summary;
  const bool of_average = model.empty() && weights == Weights::ema;
  const std::string called = of_average ? "average" : model;
  line_.clear();
  log_info("validation at step {}: {:.2f} % top-1, CE {:.4f}{}{}", state_.progress.step,
           100.0 * result.acc1, result.ce,
           evaluated.has_density
               ? fmt::format(", {:.3f} bits/dim, L_X {:.4f}", result.bits_per_dim, result.loss_x)
               : std::string(),
           called.empty() ? std::string() : fmt::format(" ({})", called));
  MetricsRow row = row_at("val", seconds);
  if (of_average) row.set_text("weights", name_of(weights));
  if (!model.empty()) row.set_text("model", model);
  set_losses(row, evaluated);
  metrics_.append(row);
  state_.last_validation = {state_.progress.step, result.ce, result.acc1,
                            evaluated.has_density ? result.loss_x : 0.0,
                            evaluated.has_density ? result.bits_per_dim : 0.0};
  return {weights, state_.last_validation};
}

std::optional<EvaluationResult> BestModel::evaluate_all(Weights weights) {
  std::optional<AveragedWeights> exchanged;
  if (weights == Weights::ema) exchanged.emplace(setup_, state_);
  return evaluate_held();
}

std::optional<EvaluationResult> BestModel::evaluate_held() {
  try {
    return evaluate(setup_.data.validation_images(), true);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::numerics) throw;
    line_.clear();
    log_warning("validation at step {} ({}): {}; it chooses no checkpoint", state_.progress.step,
                name_of(state_.weights), error.what());
    return std::nullopt;
  }
}

void BestModel::validate(double seconds, double step_seconds) {
  const auto raw = evaluate_all(Weights::raw);
  if (step_seconds > 0.0) steps_ = seconds_ / step_seconds;
  std::optional<EvaluationResult> averaged;
  if (setup_.optimizer->average() != nullptr) averaged = evaluate_all(Weights::ema);
  state_.validation_due = false;
  std::vector<Candidate> candidates;
  if (averaged) candidates.push_back(candidate(*averaged, Weights::ema, seconds, ""));
  // Last, as what a checkpoint of the weights that train says of them.
  if (raw) candidates.push_back(candidate(*raw, Weights::raw, seconds, ""));
  const ValidationRecord last = state_.last_validation;
  choose(candidates, true);
  state_.last_validation = last;
}

std::optional<BestModel::EndResult> BestModel::validate_end(double seconds,
                                                            const std::string& model,
                                                            bool complete) {
  const auto evaluated = evaluate_held();
  if (!evaluated) return std::nullopt;
  const Candidate found = candidate(*evaluated, state_.weights, seconds, model);
  if (complete) {
    choose({found}, false);
    return EndResult{};
  }
  const bool density = setup_.best_by_density();
  const double loss = density ? found.record.loss_x : found.record.ce;
  if (state_.has_best && !best_at_end_)
    best_at_end_ = density ? state_.best_loss_x : state_.best_ce;
  const bool better = !best_at_end_ || loss < *best_at_end_;
  if (better) best_at_end_ = loss;
  return EndResult{better};
}

void BestModel::save(const Candidate& candidate, bool by_entropy, bool by_density) {
  std::optional<AveragedWeights> exchanged;
  if (candidate.weights != state_.weights) exchanged.emplace(setup_, state_);
  state_.last_validation = candidate.record;
  if (by_entropy) checkpoints_.save("best-ce");
  if (by_density && setup_.model->has_density()) checkpoints_.save("best-nll");
  if (setup_.best_by_density() ? by_density : by_entropy)
    checkpoints_.link_best(setup_.best_by_density() ? "best-nll" : "best-ce");
}

void BestModel::choose(const std::vector<Candidate>& candidates, bool scheduled) {
  const Candidate* entropy = nullptr;
  const Candidate* density = nullptr;
  for (const Candidate& c : candidates) {
    if (entropy == nullptr || c.record.ce < entropy->record.ce) entropy = &c;
    if (density == nullptr || c.record.loss_x < density->record.loss_x) density = &c;
  }
  if (entropy == nullptr) return;
  const bool better_entropy = !state_.has_best || entropy->record.ce < state_.best_ce;
  const bool better_density = !state_.has_best || density->record.loss_x < state_.best_loss_x;
  const int64_t drops = state_.plateau.drops;
  // The schedule watches what the best checkpoint is chosen by.
  if (scheduled && !state_.finetuning())
    observe(setup_.options.schedule, state_.plateau,
            setup_.best_by_density() ? density->record.loss_x : entropy->record.ce);
  state_.has_best = true;
  if (better_entropy) {
    state_.best_ce = entropy->record.ce;
    state_.best_ce_weights = entropy->weights;
  }
  if (better_density) {
    state_.best_loss_x = density->record.loss_x;
    state_.best_loss_x_weights = density->weights;
  }
  for (const Candidate& c : candidates) {
    const bool by_entropy = better_entropy && &c == entropy;
    const bool by_density = better_density && &c == density;
    if (by_entropy || by_density) save(c, by_entropy, by_density);
  }
  // Each stage of the schedule begins with the best weights of the one before.
  if (state_.plateau.drops > drops) checkpoints_.load_best();
}

}  // namespace pal
