#include "experiments/training/run_checkpoints.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "experiments/training/choices_metadata.h"
#include "experiments/training/resume_check.h"
#include "experiments/training/shared_state.h"
#include "kernels/arrays/reduce.h"
#include "layers/checkpoint/checkpoint.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/log.h"
#include "runtime/parallel.h"
#include "runtime/paths.h"

namespace pal {
namespace {

std::map<std::string, std::string> extra_metadata(const TrainSetup& setup, const RunState& state) {
  std::map<std::string, std::string> metadata = {
      {"recipe", setup.recipe},
      {"trainer", run_state_json(state)},
      {"threads", std::to_string(thread_count())},
      {"data_fingerprint", setup.data.fingerprint_text()},
      {"train_fingerprint", setup.data.train_fingerprint_text()}};
  if (state.averaged) metadata["statistics"] = "averaged";
  if (setup.optimizer->average() != nullptr) metadata["weights"] = name_of(state.weights);
  if (state.last_validation.step >= 0)
    metadata["validation"] = validation_json(state.last_validation);
  // Measured choices decide bits, so a resumed run repeats them.
  if (setup.options.compute.autotune && setup.device.is_cuda()) export_library_choices(metadata);
  return metadata;
}

bool of_average(const Checkpoint& checkpoint) {
  return checkpoint.entry("weights") == name_of(Weights::ema);
}

/// Names the first tensor of what the optimizer keeps that is not finite; empty if all is.
std::string not_finite_moment(const Checkpoint& checkpoint) {
  for (const auto& [name, tensor] : checkpoint.tensors)
    if (name.starts_with("optimizer.") && !PAL_BACKEND(tensor, all_finite(tensor))) return name;
  return {};
}

}  // namespace

bool RunCheckpoints::resume() {
  std::string path = setup_.options.resume;
  if (path == "auto") {
    const auto found = find_resume(folder_.path());
    if (!found) return false;
    path = *found;
  }
  const Checkpoint checkpoint = load_checkpoint(path);
  expect(checkpoint.metadata.find("statistics") == checkpoint.metadata.end(),
         "--resume: {}: its batch-norm statistics were averaged anew for evaluation, so a run does "
         "not go on from there; use --resume auto, or begin from its weights with --init-from",
         path);
  expect(!of_average(checkpoint),
         "--resume: {}: its weights are the average of those that train, so a run does not go on "
         "from there; use --resume auto, or begin from them with --init-from",
         path);
  const ResumeChanges changes = check_resume(setup_, checkpoint, path);
  load_state(checkpoint, path, *setup_.model, setup_.optimizer->flat_states());
  setup_.model->check_usable(path);
  warn_of_moments(checkpoint, path);
  if (setup_.device.is_cuda()) import_library_choices(checkpoint.metadata);
  state_.progress = checkpoint_progress(checkpoint);
  read_run_state(checkpoint.metadata.at("trainer"), path, state_);
  setup_.optimizer->set_guard(state_.guard);
  if (changes.validation) {
    state_.has_best = false;
    state_.plateau.has_best = false;
    state_.plateau.bad_epochs = 0;
  }
  adopt_last_best();
  from_ = path;
  log_info("resumed at step {} from {}", state_.progress.step, path);
  return true;
}

void RunCheckpoints::adopt_last_best() {
  // The validation at the end of a complete run comes after its last step checkpoint, so a longer
  // run learns of it from the checkpoints that it chose.
  const auto adopt = [&](const char* name, double ValidationRecord::*loss, double& best,
                         Weights& weights) {
    if (!has(name)) return;
    try {
      const std::string path = path_of(name);
      RunState then;
      const Checkpoint chosen = load_metadata(path);
      read_run_state(chosen.metadata.at("trainer"), path, then);
      if (then.last_validation.step != state_.progress.step || then.last_validation.*loss >= best)
        return;
      best = then.last_validation.*loss;
      weights = of_average(chosen) ? Weights::ema : Weights::raw;
    } catch (const Error& error) {
      log_warning("{}", error.what());
    }
  };
  if (!state_.has_best || state_.finished(setup_)) return;
  adopt("best-ce", &ValidationRecord::ce, state_.best_ce, state_.best_ce_weights);
  if (setup_.model->has_density())
    adopt("best-nll", &ValidationRecord::loss_x, state_.best_loss_x, state_.best_loss_x_weights);
}

void RunCheckpoints::move_in() {
  namespace fs = std::filesystem;
  const fs::path source = fs::absolute(from_).parent_path();
  std::error_code ignored;
  if (fs::equivalent(source, folder_.checkpoints(), ignored)) return;
  const fs::path metrics = source.parent_path() / "metrics.jsonl";
  if (path_exists(metrics))
    fs::copy_file(metrics, folder_.file("metrics.jsonl"), fs::copy_options::overwrite_existing);
  for (const char* name : {"best-ce", "best-nll"})
    if (const fs::path file = source / (std::string(name) + ".safetensors");
        state_.has_best && path_exists(file))
      fs::copy_file(file, path_of(name), fs::copy_options::overwrite_existing);
  save_step();
}

void RunCheckpoints::rewind(bool was_complete) {
  const int64_t rows = rewind_metrics(folder_.file("metrics.jsonl"), state_.progress.step,
                                      was_complete && !state_.finished(setup_));
  if (rows > 1) log_info("{} rows of later steps were taken out of metrics.jsonl", rows);
}

void RunCheckpoints::finish_save() {
  // A checkpoint that was chosen by hand need not be the last one.
  if (setup_.options.resume == "auto") {
    link_last(from_);
    prune_checkpoints(folder_.path(), setup_.options.keep_checkpoints);
  }
  const char* const name = setup_.best_by_density() ? "best-nll" : "best-ce";
  if (state_.has_best && has(name)) link_best(name);
}

std::string RunCheckpoints::path_of(const std::string& name) const {
  return fmt::format("{}/{}.safetensors", folder_.checkpoints(), name);
}

bool RunCheckpoints::has(const std::string& name) const { return path_exists(path_of(name)); }

void RunCheckpoints::warn_of_moments(const Checkpoint& checkpoint, const std::string& when) {
  if (warned_) return;
  const std::string name = not_finite_moment(checkpoint);
  warned_ = !name.empty();
  if (warned_)
    log_warning(
        "{}: {} is not finite: some weights will not move any more, or break the next step; "
        "--clip-grad bounds gradients",
        when, name);
}

void RunCheckpoints::write(const std::string& path) {
  if (!setup_.ranks.is_first()) return;
  const std::string when = fmt::format("step {}", state_.progress.step);
  setup_.model->check_usable(when);
  const auto states = setup_.optimizer->flat_states(state_.weights == Weights::raw);
  const Checkpoint checkpoint = to_checkpoint(*setup_.model, setup_.data.input(), state_.progress,
                                              states, extra_metadata(setup_, state_));
  warn_of_moments(checkpoint, when);
  save_checkpoint(path, checkpoint);
}

void RunCheckpoints::save(const std::string& name) { write(path_of(name)); }

void RunCheckpoints::link_best(const std::string& name) {
  if (!setup_.ranks.is_first()) return;
  link_atomic(name + ".safetensors", folder_.checkpoints() + "/best");
}

void RunCheckpoints::link_last(const std::string& path) {
  link_atomic(std::filesystem::path(path).filename().string(), folder_.checkpoints() + "/last");
}

void RunCheckpoints::save_step() {
  if (!setup_.ranks.is_first()) return;
  const std::string path = step_checkpoint_path(folder_.path(), state_.progress.step);
  write(path);
  link_last(path);
  // Of a run in trouble the last good one may be the oldest.
  if (state_.guard.not_finite_in_row == 0)
    prune_checkpoints(folder_.path(), setup_.options.keep_checkpoints);
  if (setup_.data.bad_images() > 0)
    write_atomic(folder_.file("bad_images.txt"), setup_.data.bad_image_list());
}

void RunCheckpoints::load_best() {
  if (setup_.ranks.is_first()) read_best();
  share_state(setup_, state_);
}

void RunCheckpoints::read_best() {
  const std::string path = folder_.checkpoints() + "/best";
  const Checkpoint checkpoint = load_checkpoint(path);
  const bool averaged = of_average(checkpoint);
  load_state(checkpoint, path, *setup_.model, setup_.optimizer->flat_states(!averaged));
  // What trains on goes on from the average, and so does the average.
  if (averaged) setup_.optimizer->average()->restart();
  // The moments are those of as many updates.
  RunState then;
  read_run_state(checkpoint.metadata.at("trainer"), path, then);
  state_.guard.updates = then.guard.updates;
  state_.guard.power1 = then.guard.power1;
  state_.guard.power2 = then.guard.power2;
  setup_.optimizer->set_guard(state_.guard);
}

}  // namespace pal
