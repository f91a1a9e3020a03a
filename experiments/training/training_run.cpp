#include "experiments/training/training_run.h"

#include "experiments/training/train_loop.h"
#include "experiments/training/train_report.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/log.h"

namespace pal {
namespace {

ProgressMode progress_mode(const std::string& text) {
  if (text == "always") return ProgressMode::always;
  return text == "never" ? ProgressMode::never : ProgressMode::automatic;
}

/// Weights and act norms of a run that begins: new ones, or another checkpoint's.
void begin(TrainSetup& setup, const RunFolder& folder) {
  write_atomic(folder.file("metrics.jsonl"), std::string());
  // A start from other weights keeps its act norms.
  if (setup.flow != nullptr && setup.options.data_init && setup.options.init_from.empty())
    setup.flow->fit_act_norms(setup.data.training().batch(0, 0).images);
}

}  // namespace

int run_training(TrainSetup& setup, const std::string& command, const std::string& config_text) {
  const TrainOptions& options = setup.options;
  const RunFolder folder(options.output);
  if (options.resume.empty() && find_resume(folder.path()))
    fail(ErrorKind::usage, "--output: {} already holds a run; use --resume auto or another folder",
         folder.path());
  set_log_file(folder.file("log.txt"));
  ProgressLine line(progress_mode(options.progress), options.quiet);
  RunState state;
  RunCheckpoints checkpoints(setup, state, folder);
  if (!options.resume.empty()) checkpoints.resume();
  if (!options.init_from.empty())
    load_state(load_checkpoint(options.init_from), options.init_from, *setup.model, nullptr);
  if (state.progress.step == 0) begin(setup, folder);
  write_atomic(folder.file("config.toml"), config_text);
  write_run_file(setup, folder, command);
  log_start(setup, state, folder);
  return TrainLoop(setup, state, folder, checkpoints, line).run();
}

}  // namespace pal
