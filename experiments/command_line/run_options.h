#pragma once
#include <cstdint>
#include <string>

#include "experiments/command_line/compute_options.h"
#include "layers/models/config.h"
#include "layers/models/model_io.h"

namespace pal {

/// When progress is shown as one rewritten line: on a terminal, never or always.
enum class ProgressMode { automatic, never, always };

// Options that have one word in every program.

Option& add_seed_option(OptionTable& table, uint64_t& seed);
Option& add_memory_limit(OptionTable& table, int64_t& bytes);
Option& add_json_option(OptionTable& table, bool& json);
Option& add_quiet_option(OptionTable& table, bool& quiet);
Option& add_progress_option(OptionTable& table, ProgressMode& progress);
/// Pictures of more pixels are refused.
Option& add_pixel_limit(OptionTable& table, int64_t& pixels);

/// Options of every program that runs a trained model.
struct RunOptions {
  ComputeOptions compute;
  uint64_t seed = 0;
  int64_t memory_limit = 0;  ///< bytes; 0: none
  bool json = false;
  bool quiet = false;
};

/// Adds the options of every program that runs a trained model.
void add_run_options(OptionTable& table, RunOptions& options);

/// After parsing: sets threads, precision, memory limit and log level, and returns the device.
/// Throws usage or environment for what this machine cannot do.
Device apply_run_options(const RunOptions& options);

/// The model of a checkpoint, with --precision if that is given, on the device.
LoadedModel load_for_run(const std::string& checkpoint, const RunOptions& options, Device device);

/// Puts the compute type that --precision asks for, if it is given, into a checkpoint's
/// configuration, and lets the GPU's libraries know how exact gradients are then.
void set_precision(const RunOptions& options, ModelConfig& config);

}  // namespace pal
