#pragma once
#include <string>
#include <vector>

#include "experiments/inspect/inspect_file.h"

namespace pal {

/// The files of a run's folder (or of its folder of checkpoints), each inspected once: links to
/// checkpoints are left out.
struct RunReport {
  /// Where the checkpoints lie.
  std::string checkpoints;
  /// Of the checkpoints, by step and name; then of all other files of a known kind.
  std::vector<FileReport> files;
  /// How many of `files` are checkpoints.
  size_t checkpoint_count = 0;
  /// Files of other kinds.
  int64_t skipped = 0;
};

/// Inspects a folder for which `holds_checkpoints` is true. `files` are the paths of all files in
/// it.
RunReport inspect_run(const std::string& folder, const std::vector<std::string>& files,
                      const InspectOptions& options);

/// The checkpoints as a table: file, step, date of the file (local time), the results of the
/// validation at that very step that it records (CE in nats, accuracy in percent, bits/dim), "-"
/// for those that it does not; and which of them the links `best` and `last` point to.
std::string to_text(const RunReport& report);

}  // namespace pal
