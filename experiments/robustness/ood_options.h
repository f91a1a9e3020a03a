#pragma once
#include <string>
#include <vector>

#include "experiments/evaluation/evaluate_options.h"
#include "experiments/evaluation/evaluated_sets.h"
#include "experiments/robustness/foreign_scores.h"

namespace pal {

/// Everything pal-ood can be told.
struct OodOptions {
  std::string checkpoint;
  std::vector<std::string> against;  ///< foreign sets, as pal-evaluate --ood names them
  std::string suite;                 ///< TOML file that groups sets; empty: none
  EvaluateOptions evaluation;        ///< of the familiar images
  int64_t reference = kReferenceImages;
  std::string scores;   ///< names with commas between; empty: all that the model has
  std::string figures;  ///< folder for tables and pictures; empty: none
};

/// Adds all options to a table that sets `options`.
void add_ood_options(OptionTable& table, OodOptions& options);

/// After parsing: checks what concerns several options. Throws usage naming the flag.
void finish_ood_options(OodOptions& options);

/// The scores that --scores names; none: all. Throws usage for an unknown name.
std::vector<ForeignScore> wanted_scores(const OodOptions& options);

}  // namespace pal
