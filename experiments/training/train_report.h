#pragma once
#include <string>

#include "experiments/report/metrics_history.h"
#include "experiments/report/run_log.h"
#include "experiments/training/run_state.h"
#include "experiments/training/stop_signal.h"
#include "experiments/training/train_setup.h"
#include "layers/checkpoint/run_folder.h"
#include "layers/training/train_step.h"

namespace pal {

/// What the steps of this process took.
struct StepTimes {
  int64_t first_step = 0;  ///< steps that the run had taken before
  double seconds = 0.0;    ///< in steps alone, without validation and checkpoints
};

/// How a process ends.
struct RunEnd {
  StopReason reason = StopReason::complete;
  StepTimes times;
  MetricsHistory before;  ///< what earlier processes of the run took
  /// Largest relative error of a rebuilt block input.
  double worst_inversion = 0.0;
};

/// Writes run.json: command, version, device, libraries, data.
void write_run_file(const TrainSetup& setup, const RunFolder& folder, const std::string& command);

/// Logs what begins: device, images, network, batch.
void log_start(const TrainSetup& setup, const RunState& state, const RunFolder& folder);

/// The row of metrics.jsonl for a step counted from 1 that took `step_seconds`, `seconds` after the
/// start; `check` is the newest of the inversion.
MetricsRow step_row(const TrainSetup& setup, double seconds, int64_t step, double learning_rate,
                    const StepResult& result, const InversionCheck& check, double step_seconds);

/// One line for a terminal: how far, the last losses, rate, time left.
std::string progress_text(const TrainSetup& setup, const RunState& state, const StepTimes& times,
                          const StepResult& result);

/// Prints the kernels of so many profiled steps beside the machine's limits.
void print_profile(const TrainSetup& setup, int64_t steps, double seconds);

/// Warns of options that reach beyond the run.
void warn_of_lengths(const TrainSetup& setup, const RunState& state);

/// "stopped by --max-steps at step 20 of 50"; for a signal with the way to go on.
std::string stop_text(const TrainSetup& setup, const RunState& state, const RunFolder& folder,
                      StopReason reason);

/// Writes summary.json, logs why the process stops and, unless a signal or an error is the reason,
/// prints what the options ask for.
void report_run(const TrainSetup& setup, const RunState& state, const RunFolder& folder,
                const RunEnd& end);

/// Whether summary.json says that the run was complete after this step.
bool is_finished_run(const RunState& state, const RunFolder& folder);

}  // namespace pal
