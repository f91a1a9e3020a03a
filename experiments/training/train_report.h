#pragma once
#include <string>

#include "experiments/report/run_log.h"
#include "experiments/training/run_state.h"
#include "experiments/training/train_setup.h"
#include "layers/checkpoint/run_folder.h"
#include "layers/training/train_step.h"

namespace pal {

/// What the steps of this process took.
struct StepTimes {
  int64_t first_step = 0;  ///< steps that the run had taken before
  double seconds = 0.0;    ///< in steps alone, without validation and checkpoints
};

/// Prints what would run: shapes, parameters, memory, steps.
void print_plan(const TrainSetup& setup);

/// Writes run.json: command, version, device, libraries, data.
void write_run_file(const TrainSetup& setup, const RunFolder& folder, const std::string& command);

/// Logs what begins: device, images, network, batch.
void log_start(const TrainSetup& setup, const RunState& state, const RunFolder& folder);

/// The row of metrics.jsonl for a step counted from 1 that took `step_seconds`, `seconds` after the
/// start.
MetricsRow step_row(const TrainSetup& setup, double seconds, int64_t step, double learning_rate,
                    const StepResult& result, double step_seconds);

/// One line for a terminal: how far, the last losses, rate, time left.
std::string progress_text(const TrainSetup& setup, const RunState& state, const StepTimes& times,
                          const StepResult& result);

/// Prints the kernels of so many profiled steps beside the machine's limits.
void print_profile(const TrainSetup& setup, int64_t steps, double seconds);

/// Writes summary.json and prints what the options ask for. `worst_inversion` is the largest
/// relative error of a rebuilt block input.
void report_run(const TrainSetup& setup, const RunState& state, const RunFolder& folder,
                const StepTimes& times, double worst_inversion, bool complete);

}  // namespace pal
