#include "experiments/training/training_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "data/batches/order.h"
#include "experiments/command_line/program.h"
#include "experiments/training/shared_state.h"
#include "experiments/training/train_loop.h"
#include "experiments/training/train_report.h"
#include "layers/channel_moments.h"
#include "layers/checkpoint/digest.h"
#include "layers/models/transfer.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/json.h"
#include "runtime/log.h"
#include "runtime/paths.h"

namespace pal {
namespace {

/// Renames a file of an earlier run that left no checkpoint, so that nothing is overwritten.
void keep_aside(const std::string& path) {
  std::error_code ignored;
  if (!path_exists(path) || std::filesystem::file_size(path, ignored) == 0) return;
  std::string kept;
  for (int i = 1; kept.empty() || path_exists(kept); ++i) kept = fmt::format("{}.{}", path, i);
  std::filesystem::rename(path, kept);
  log_warning("{}: kept as {}, from a run without a checkpoint", path, kept);
}

/// Fewer pictures than these make poor act norms, more do not make better ones.
constexpr int64_t kLeastFitted = 32;
constexpr int64_t kMostFitted = 512;

/// The first pictures of the run: a batch, or as many batches as hold kLeastFitted.
Tensor fitted_images(const TrainSetup& setup) {
  const int64_t batch = setup.options.global_batch;
  const int64_t steps = setup.steps_per_epoch();
  const int64_t batches = std::min(steps, (kLeastFitted + batch - 1) / batch);
  if (batches * batch < kLeastFitted)
    log_warning("act norms are fitted to {} pictures only; more training pictures are better",
                batches * batch);
  return setup.data.first_images(std::min(batches * batch, kMostFitted));
}

/// Takes over what fits of another checkpoint's network.
TransferReport take_over(TrainSetup& setup) {
  const std::string& path = setup.options.init_from;
  TransferReport report =
      transfer_state(load_checkpoint(path), path, setup.data.input(), *setup.model);
  log_info("{}", report.text());
  // A latent act norm is fitted to the pictures, so it may be new.
  const bool latent_alone = report.new_act_norms == std::vector{report.new_latent_norm};
  expect(
      setup.options.freeze == Freeze::none || report.network_loaded || latent_alone,
      "--freeze: parts of the network are new and would stay random; leave it out, or choose the "
      "network of {}",
      path);
  return report;
}

void warn_of_constant_channels(const TrainSetup& setup, const Tensor& images) {
  const std::vector<int64_t> constant = constant_channels(images);
  if (!constant.empty())
    log_warning(
        "{}: channel {} of the pictures is constant: their density grows without bound along it; "
        "use --noise true, or leave the channel out",
        setup.data.info().name, fmt::join(constant, ", "));
}

/// Weights and act norms of a run that begins: new ones, or as far as they fit another
/// checkpoint's.
void begin_weights(TrainSetup& setup, const RunFolder& folder) {
  const TrainOptions& options = setup.options;
  const std::string metrics = folder.file("metrics.jsonl");
  keep_aside(metrics);
  write_atomic(metrics, std::string());
  // Few pictures at once are enough for batch norm, and bound the memory of large ones.
  constexpr int64_t kAtOnce = 8;
  // Sixteen pictures of ImageNet's size, so that this takes no more memory than training.
  constexpr int64_t kPixelsAtOnce = int64_t{16} * 224 * 224;
  const int64_t size = setup.model->config().image_size;
  ActNormFit fit;
  // As many as a batch norm sees at once in training, and no more than a pass of one process has.
  const int64_t passes = options.grad_accum * (options.sync_bn ? 1 : setup.ranks.size());
  fit.most = std::min({options.global_batch / passes, kMostFitted,
                       std::max(kAtOnce, kPixelsAtOnce / (size * size))});
  if (!options.init_from.empty()) {
    fit.only = take_over(setup).new_act_norms;
    if (options.freeze == Freeze::network) fit.phase = Phase::evaluate;
  }
  if (setup.flow == nullptr) return;
  const Tensor images = fitted_images(setup);
  warn_of_constant_channels(setup, images);
  if (options.data_init && (!fit.only || !fit.only->empty()))
    setup.flow->fit_act_norms(images, fit);
}

/// Begins, and so does the average of the weights with them. One rank does so alone.
void begin(TrainSetup& setup, const RunFolder& folder) {
  setup.model->synchronise_norms(nullptr);
  begin_weights(setup, folder);
  if (setup.options.sync_bn) setup.model->synchronise_norms(&setup.tensors());
  if (WeightAverage* average = setup.optimizer->average()) average->restart();
}

/// Refuses lengths that the run has passed already.
void expect_length(const TrainSetup& setup, const RunState& state) {
  const int64_t total = setup.options.schedule.total_steps;
  expect(state.finetuning() || state.progress.step <= total,
         "--epochs: {} epochs are {} steps, and the run is at step {} already",
         setup.options.epochs, total, state.progress.step);
}

/// Whether the run has done all that is asked for; then says so.
bool nothing_to_do(const TrainSetup& setup, const RunState& state, const RunFolder& folder,
                   bool was_complete) {
  const int64_t step = state.progress.step;
  const int64_t most = setup.options.max_steps;
  const bool complete = was_complete && state.finished(setup);
  if (!complete && (most == 0 || step <= most)) return false;
  if (complete)
    log_info("the run is complete at step {}; {}", step,
             state.plateau.finished ? "its validation loss had stopped to improve; to go on from "
                                      "its weights, use --init-from"
                                    : "for more, raise --epochs");
  else
    log_info("the run is at step {} already, beyond --max-steps {}: nothing to do", step, most);
  if (!setup.options.trace.empty()) {
    log_warning("--trace: no step is taken, so {} is not written", setup.options.trace);
    remove_leftover(setup.options.trace);
  }
  const std::string path = folder.file("summary.json");
  const auto summary = parse_json_file(path);
  if (summary.is_discarded()) return true;
  print_result(setup.options.json ? json_text(summary) : fmt::format("results: {}", path));
  return true;
}

/// What is done before the first step, by the rank that reads and writes files: the state of the
/// run, new or resumed. Returns whether there is nothing left to do.
bool prepare(TrainSetup& setup, RunState& state, const RunFolder& folder,
             RunCheckpoints& checkpoints, const std::string& config_text) {
  if (!setup.options.resume.empty() && !checkpoints.resume())
    log_warning("--resume: no checkpoint in {}; starting anew", folder.path());
  const bool went_on = state.progress.step > 0;
  if (went_on) expect_length(setup, state);
  const bool was_complete = went_on && is_finished_run(state, folder);
  if (went_on) checkpoints.finish_save();
  if (went_on && nothing_to_do(setup, state, folder, was_complete)) return true;
  // Before the first checkpoint in the folder, from which a run that was killed here goes on.
  write_atomic(folder.file("config.toml"), config_text);
  if (went_on) checkpoints.move_in();
  if (state.progress.step == 0)
    begin(setup, folder);
  else
    checkpoints.rewind(was_complete);
  return false;
}

/// What must be the same on all ranks: the options that decide numbers, one by one, and the data.
void expect_agreement(TrainSetup& setup) {
  if (setup.ranks.alone()) return;
  nlohmann::json mine = parse_json(setup.recipe);
  mine["data"] = setup.data.fingerprint_text();
  const std::vector<int64_t> order =
      epoch_order(setup.data.training_images(), setup.options.seed, 0);
  Digest digest;
  digest.update({reinterpret_cast<const uint8_t*>(order.data()), order.size() * sizeof(int64_t)});
  mine["order of images"] = digest.hex();
  for (auto& [key, value] : mine.items())
    if (!value.is_string()) value = json_text(value);
  setup.ranks.expect_agreement(mine);
}

}  // namespace

int run_training(TrainSetup& setup, const RunFolder& folder, const std::string& command,
                 const std::string& config_text) {
  const TrainOptions& options = setup.options;
  const bool first = setup.ranks.is_first();
  expect_agreement(setup);
  ProgressLine line(options.progress, options.quiet || !first);
  RunState state;
  RunCheckpoints checkpoints(setup, state, folder);
  const bool done = first && prepare(setup, state, folder, checkpoints, config_text);
  if (first_says(setup, done)) return 0;
  share_state(setup, state);
  if (first) write_run_file(setup, folder, command);
  log_start(setup, state, folder);
  return TrainLoop(setup, state, folder, checkpoints, line).run();
}

}  // namespace pal
