#include "experiments/training/best_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

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

bool BestModel::note(const EvaluationResult& evaluated, double seconds, const std::string& model) {
  const EvaluationSummary& result = evaluated.summary;
  line_.clear();
  log_info("validation at step {}: {:.2f} % top-1, CE {:.4f}{}{}", state_.progress.step,
           100.0 * result.acc1, result.ce,
           evaluated.has_density
               ? fmt::format(", {:.3f} bits/dim, L_X {:.4f}", result.bits_per_dim, result.loss_x)
               : std::string(),
           model.empty() ? std::string() : fmt::format(" ({})", model));
  MetricsRow row = row_at("val", seconds);
  if (!model.empty()) row.set_text("model", model);
  set_losses(row, evaluated);
  metrics_.append(row);
  state_.last_validation = {state_.progress.step, result.ce, result.acc1,
                            evaluated.has_density ? result.loss_x : 0.0,
                            evaluated.has_density ? result.bits_per_dim : 0.0};
  if (std::isfinite(result.ce) && std::isfinite(result.loss_x)) return true;
  log_warning("step {}: the validation loss is not finite; it chooses no checkpoint",
              state_.progress.step);
  return false;
}

void BestModel::validate(double seconds) {
  const EvaluationResult evaluated = evaluate(setup_.data.validation_images(), true);
  state_.validation_due = false;
  if (note(evaluated, seconds, "")) choose(evaluated.summary, true);
}

bool BestModel::validate_end(double seconds, const std::string& model, bool complete) {
  const EvaluationResult evaluated = evaluate(setup_.data.validation_images(), true);
  const EvaluationSummary& result = evaluated.summary;
  if (!note(evaluated, seconds, model)) return false;
  if (complete) choose(result, false);
  return !complete &&
         (!state_.has_best || (setup_.best_by_density() ? result.loss_x < state_.best_loss_x
                                                        : result.ce < state_.best_ce));
}

void BestModel::choose(const EvaluationSummary& result, bool scheduled) {
  const bool better_entropy = !state_.has_best || result.ce < state_.best_ce;
  const bool better_density = !state_.has_best || result.loss_x < state_.best_loss_x;
  const bool by_density = setup_.best_by_density();
  const int64_t drops = state_.plateau.drops;
  // The schedule watches what the best checkpoint is chosen by.
  if (scheduled && !state_.finetuning())
    observe(setup_.options.schedule, state_.plateau, by_density ? result.loss_x : result.ce);
  state_.has_best = true;
  if (better_entropy) state_.best_ce = result.ce;
  if (better_density) state_.best_loss_x = result.loss_x;
  if (better_entropy) checkpoints_.save("best-ce");
  if (better_density && setup_.model->has_density()) checkpoints_.save("best-nll");
  if (by_density ? better_density : better_entropy)
    checkpoints_.link_best(by_density ? "best-nll" : "best-ce");
  // Each stage of the schedule begins with the best weights of the one before.
  if (state_.plateau.drops > drops) checkpoints_.load_best();
}

}  // namespace pal
