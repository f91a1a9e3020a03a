#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "experiments/command_line/corruption_choice.h"
#include "experiments/command_line/option_table.h"
#include "experiments/command_line/run_options.h"
#include "experiments/datasets/clean_images.h"
#include "experiments/datasets/corrupt_tree.h"

namespace pal {

/// What `pal-corrupt` was told.
struct CorruptOptions {
  DatasetSpec set;
  std::string sheet;   ///< PNG file of one image under everything; empty: none
  int64_t image = -1;  ///< of the sheet, by its place in the set; -1: the first
  CleanOptions clean;
  CorruptTreeOptions tree;  ///< no tree if its output is empty
  CorruptionChoice choice;
  std::string frost_folder;
  ProgressMode progress = ProgressMode::automatic;
  bool quiet = false;
};

void add_corrupt_options(OptionTable& table, CorruptOptions& options);

/// After parsing: looks up names, reads the frost photographs and fills in what goes into the tree.
/// Throws usage for options without effect, sets without a name, and a tree inside the folder that
/// it is made of.
void finish_corrupt_options(const OptionTable& table, CorruptOptions& options);

}  // namespace pal
