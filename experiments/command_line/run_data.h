#pragma once
#include <optional>
#include <string>

#include "experiments/command_line/data_options.h"

namespace pal {

/// The data that a run's config.toml names.
struct RunData {
  std::string config;       ///< the file that says so
  std::string dataset;      ///< a known set, a folder or a pattern of tar shards
  std::string folder;       ///< where a known set lies; empty: where it usually does
  std::string class_names;  ///< file with the names of the classes; empty: none
};

/// Reads RUN/config.toml for a checkpoint RUN/checkpoints/FILE: its keys `dataset`, `dir` and
/// `class-names`. None if the checkpoint does not lie so, or the file names no data. Throws usage
/// if it is no TOML.
std::optional<RunData> run_data(const std::string& checkpoint);

/// Options that name no data get those of the checkpoint's run, and the log says so. `trained_on`
/// is what the checkpoint recorded (`recorded_name`): another set than that of config.toml is not
/// taken. Throws usage if the folder of those data is gone.
void take_run_data(DataOptions& options, const std::string& checkpoint,
                   const std::string& trained_on);

}  // namespace pal
