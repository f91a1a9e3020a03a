#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "experiments/command_line/data_options.h"
#include "experiments/command_line/run_options.h"
#include "experiments/recipe/training_recipe.h"
#include "runtime/communicator/communicator.h"

namespace pal {

/// Everything pal-evaluate can be told.
struct EvaluateOptions {
  std::vector<std::string> checkpoints;  ///< paths
  std::vector<double> betas;             ///< of checkpoints that record none, one for each; or none
  DataOptions data;
  Split split = Split::test;
  int64_t most_images = 0;       ///< that are evaluated, evenly spread; 0: all. Set by programs
  int64_t batch_size = -1;       ///< images; -1: as suits the device
  int64_t crops = 1;             ///< views of each encoded picture: 1 or 10
  std::vector<std::string> ood;  ///< other data sets: names, folders, IDX files, variants
  std::string ood_folder;
  std::string foreign_flag = "--ood";  ///< by which these are named, for messages
  int64_t recalibrate = 0;  ///< training batches that batch-norm statistics are averaged over
  bool baseline = false;
  bool calibrate = false;
  std::string calibration;  ///< file that --calibrate writes; empty: where programs look for it
  bool allow_other_classes = false;
  /// Answers are chosen among the classes that the data have, where these are some of the model's.
  bool restrict_classes = true;
  std::string outputs;  ///< CSV file to write; empty: none
  std::string figures;  ///< folder for curves as CSV and SVG; empty: none
  bool published = false;
  std::string latents;  ///< safetensors file to write; empty: none
  std::string summary;  ///< JSON file to write; empty: none
  bool dct_reported = false;
  RunOptions run;
  /// That share the images and all know the results, of which the first writes the files; exchanges
  /// tensors on the CPU. Null: this process alone. Set by programs.
  Communicator* ranks = nullptr;
};

/// Adds all options to a table that sets `options`.
void add_evaluate_options(OptionTable& table, EvaluateOptions& options);

/// After parsing: takes a last folder among the checkpoints for that of the data, unless it holds
/// checkpoints, and run folders for their checkpoints (`checkpoint_of`); checks what concerns
/// several options. Throws usage naming the flag.
void finish_evaluate_options(EvaluateOptions& options);

/// What a checkpoint was trained with: as it records, or else as --beta says; none: unknown. Throws
/// usage where both say something and differ.
std::optional<double> beta_of(const EvaluateOptions& options, size_t which,
                              const TrainingRecipe& recipe);

}  // namespace pal
