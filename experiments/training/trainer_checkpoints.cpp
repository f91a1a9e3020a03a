// What a training run saves and how it goes on from there.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "experiments/training/trainer.h"
#include "kernels/library/cuda_settings.h"
#include "layers/checkpoint/checkpoint.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/log.h"
#include "runtime/parallel.h"

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

std::map<std::string, std::string> Trainer::extra_metadata() const {
  nlohmann::ordered_json state = {{"plateau",
                                   {{"best", plateau_.best},
                                    {"has_best", plateau_.has_best},
                                    {"bad_epochs", plateau_.bad_epochs},
                                    {"drops", plateau_.drops},
                                    {"finished", plateau_.finished}}},
                                  {"best_entropy", best_entropy_},
                                  {"best_density", best_density_},
                                  {"has_best", has_best_},
                                  {"finetune_from", finetune_from_}};
  std::map<std::string, std::string> metadata = {
      {"recipe", recipe_json(options_)},
      {"trainer", state.dump()},
      {"threads", std::to_string(thread_count())},
      {"data_fingerprint", fmt::format("{:016x}", data_.fingerprint())}};
  // Measured choices decide bits, so a resumed run repeats them.
  if (options_.compute.autotune && device_.is_cuda())
    metadata["convolution_choices"] = convolution_choices();
  return metadata;
}

void Trainer::check_resume(const Checkpoint& checkpoint, const std::string& path) const {
  const ModelConfig saved = checkpoint_config(checkpoint, path);
  std::vector<std::string> differences;
  for (const std::string& name : field_names()) {
    const std::string before = field_text(saved, name);
    const std::string now = field_text(model_->config(), name);
    if (before != now) differences.push_back(fmt::format("{} was {}, is {}", name, before, now));
  }
  const InputSpec input = checkpoint_input(checkpoint, path);
  const auto compare = [&](const char* name, const auto& before, const auto& now) {
    if (before != now)
      differences.push_back(
          fmt::format("{} was {}, is {}", name, fmt::join(before, ","), fmt::join(now, ",")));
  };
  compare("mean", input.mean, data_.input().mean);
  compare("std", input.std, data_.input().std);
  const auto entry = [&](const char* key) {
    const auto found = checkpoint.metadata.find(key);
    return found == checkpoint.metadata.end() ? std::string() : found->second;
  };
  const auto recipe = nlohmann::json::parse(entry("recipe"), nullptr, false);
  if (!recipe.is_object())
    fail(ErrorKind::data, "{}: holds no training recipe; use --init-from to start from its weights",
         path);
  const auto mine = nlohmann::ordered_json::parse(recipe_json(options_));
  for (const auto& [key, now] : mine.items()) {
    const std::string before = recipe.contains(key) ? recipe[key].dump() : "unset";
    if (before != now.dump())
      differences.push_back(fmt::format("{} was {}, is {}", key, before, now.dump()));
  }
  if (input.class_names != data_.input().class_names && !options_.allow_data_change)
    differences.push_back("classes: " +
                          class_difference(input.class_names, data_.input().class_names));
  if (!differences.empty()) {
    std::string list;
    for (const auto& difference : differences) list += (list.empty() ? "" : "; ") + difference;
    fail(ErrorKind::usage, "--resume: {}: other settings than the run's: {}", path, list);
  }
  if (entry("data_fingerprint") != fmt::format("{:016x}", data_.fingerprint()) &&
      !options_.allow_data_change)
    fail(ErrorKind::usage, "--resume: {}: the data changed since; use --allow-data-change to go on",
         path);
  if (entry("threads") != std::to_string(thread_count()))
    log_warning(
        "--resume: the run used {} threads, now {}: sums in weight gradients may round "
        "differently",
        entry("threads"), thread_count());
}

void Trainer::resume() {
  std::string path = options_.resume;
  if (path == "auto") {
    const auto found = find_resume(folder_->path());
    if (!found) return;
    path = *found;
  }
  const Checkpoint checkpoint = load_checkpoint(path);
  check_resume(checkpoint, path);
  load_state(checkpoint, path, *model_, &sgd_->momentum());
  const auto choices = checkpoint.metadata.find("convolution_choices");
  if (device_.is_cuda() && choices != checkpoint.metadata.end())
    set_convolution_choices(choices->second);
  progress_ = checkpoint_progress(checkpoint);
  const auto state = nlohmann::json::parse(checkpoint.metadata.at("trainer"), nullptr, false);
  if (!state.is_object()) fail(ErrorKind::data, "{}: the entry trainer is not JSON", path);
  try {
    best_entropy_ = state.at("best_entropy");
    best_density_ = state.at("best_density");
    has_best_ = state.at("has_best");
    finetune_from_ = state.value("finetune_from", int64_t{-1});
    const auto& plateau = state.at("plateau");
    plateau_ = {plateau.at("best"), plateau.at("has_best"), plateau.at("bad_epochs"),
                plateau.at("drops"), plateau.at("finished")};
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::data, "{}: the entry trainer: {}", path, error.what());
  }
  // A run at its end validates once more, so that row goes too.
  rewind_metrics(folder_->file("metrics.jsonl"), progress_.step, finished());
  log_info("resumed at step {} from {}", progress_.step, path);
}

EvaluationResult Trainer::evaluate(std::vector<int64_t> images) {
  EvaluationSpec spec;
  spec.batch_size = std::min<int64_t>(kValidationBatch, options_.batch_size);
  spec.beta = options_.beta;
  spec.smoothing = options_.smoothing;
  spec.noise = options_.noise;
  spec.seed = options_.seed;
  spec.indices = std::move(images);
  spec.transform = evaluation_transform(options_.data);
  spec.workers = worker_count(options_.data, device_);
  spec.bad_images = data_.validation_log();
  return evaluate_model(*model_, data_.input(), data_.validation_set(), spec);
}

void Trainer::check_sample() {
  const EvaluationResult result = evaluate(data_.validation_sample(options_.check_images));
  MetricsRow row("eval");
  row.set("t", elapsed()).set_count("step", progress_.step);
  row.set_count("images", result.summary.images);
  set_losses(row, result);
  metrics_->append(row);
}

void Trainer::load_best() {
  const std::string path = folder_->checkpoints() + "/best";
  load_state(load_checkpoint(path), path, *model_, &sgd_->momentum());
}

void Trainer::start_finetune() {
  finetune_from_ = progress_.step;
  if (has_best_) load_best();
  log_info("step {}: the class means alone from here on", progress_.step);
}

void Trainer::validate_and_choose() {
  const EvaluationResult evaluated = evaluate(data_.validation());
  const EvaluationSummary& result = evaluated.summary;
  progress_line_->clear();
  log_info("validation at step {}: {:.2f} % top-1, CE {:.4f}{}", progress_.step,
           100.0 * result.acc1, result.ce,
           evaluated.has_density
               ? fmt::format(", {:.3f} bits/dim, L_X {:.4f}", result.bits_per_dim, result.loss_x)
               : std::string());
  MetricsRow row("val");
  row.set("t", elapsed()).set_count("step", progress_.step);
  set_losses(row, evaluated);
  metrics_->append(row);
  if (!std::isfinite(result.ce) || !std::isfinite(result.loss_x)) {
    log_warning("step {}: the validation loss is not finite; it chooses no checkpoint",
                progress_.step);
    return;
  }
  const bool better_entropy = !has_best_ || result.ce < best_entropy_;
  const bool better_density = !has_best_ || result.loss_x < best_density_;
  // The schedule watches what the best checkpoint is chosen by.
  const bool by_density = model_->has_density() && options_.beta < 0.5;
  const int64_t drops = plateau_.drops;
  if (finetune_from_ < 0)
    observe(options_.schedule, plateau_, by_density ? result.loss_x : result.ce);
  has_best_ = true;
  if (better_entropy) best_entropy_ = result.ce;
  if (better_density) best_density_ = result.loss_x;
  if (better_entropy) save(folder_->checkpoints() + "/best-ce.safetensors");
  if (better_density && model_->has_density())
    save(folder_->checkpoints() + "/best-nll.safetensors");
  if (by_density ? better_density : better_entropy)
    link_atomic(by_density ? "best-nll.safetensors" : "best-ce.safetensors",
                folder_->checkpoints() + "/best");
  // Each stage of the schedule begins with the best weights of the one before (experiments.md 2).
  if (plateau_.drops > drops) load_best();
}

void Trainer::save(const std::string& path) {
  // The checkpoint before a numerical failure must stay the newest.
  model_->check_finite(fmt::format("step {}", progress_.step));
  save_checkpoint(
      path, to_checkpoint(*model_, data_.input(), progress_, &sgd_->momentum(), extra_metadata()));
}

void Trainer::save_step() {
  const std::string path = step_checkpoint_path(folder_->path(), progress_.step);
  save(path);
  link_atomic(path.substr(path.find_last_of('/') + 1), folder_->checkpoints() + "/last");
  prune_checkpoints(folder_->path(), options_.keep_checkpoints);
  if (data_.bad_images() > 0) write_atomic(folder_->file("bad_images.txt"), data_.bad_image_list());
}

}  // namespace pal
