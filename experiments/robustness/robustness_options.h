#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/corruptions/corruption.h"
#include "experiments/command_line/corruption_choice.h"
#include "experiments/evaluation/evaluate_options.h"
#include "experiments/evaluation/evaluated_sets.h"

namespace pal {

/// Everything pal-robustness can be told. Text fields are read by finish_robustness_options.
struct RobustnessOptions {
  EvaluateOptions evaluation;                   ///< checkpoints, data, device, batch size, images
  int64_t most_images = 0;                      ///< clean ones, evenly spread; 0: all
  int64_t reference_images = kReferenceImages;  ///< whose densities are known
  std::string output;                           ///< folder for results; empty: none are kept
  std::string tree;  ///< folder of corrupted pictures; empty: made in memory
  CorruptionChoice choice;
  std::string reference;  ///< file, "alexnet", or empty: as suits the data
  std::string frost;      ///< folder of photographs
  bool frost_five = false;
  int64_t jpeg_quality = -1;  ///< that corrupted images pass; -1: as suits the size
  ProgressMode progress = ProgressMode::automatic;
  std::vector<Corruption> corruptions;  ///< read from `choice`
  std::vector<int> severities;
  CorruptionOptions corruption;  ///< read from the others
};

/// Adds all options to a table that sets `options`.
void add_robustness_options(OptionTable& table, RobustnessOptions& options);

/// After parsing: reads the texts and checks what concerns several options. Throws usage naming the
/// flag, data for a checkpoint or photographs that are broken.
void finish_robustness_options(RobustnessOptions& options);

}  // namespace pal
