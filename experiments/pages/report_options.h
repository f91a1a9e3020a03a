#pragma once
#include <string>
#include <vector>

#include "experiments/command_line/data_options.h"
#include "experiments/command_line/run_options.h"

namespace pal {

/// Everything pal-report can be told.
struct ReportOptions {
  std::vector<std::string> runs;  ///< run folders or checkpoints
  std::string output;             ///< HTML file
  bool card = false;              ///< also a model card beside it
  std::vector<std::string> ood;   ///< foreign sets, as of pal-evaluate
  int64_t images = 10000;         ///< that are evaluated at most
  DataOptions data;
  RunOptions run;
};

/// Adds all options to a table that sets `options`.
void add_report_options(OptionTable& table, ReportOptions& options);

/// Where the model card of a page lies: README.md beside it.
std::string card_path(const std::string& page);

/// After parsing: the default output, and what concerns several options. Throws usage naming the
/// flag, environment for an output whose folder is missing.
void finish_report_options(ReportOptions& options);

}  // namespace pal
