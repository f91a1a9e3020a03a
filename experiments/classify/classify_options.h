#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/pictures/image_file.h"
#include "experiments/command_line/run_options.h"

namespace pal {

/// Everything pal-classify can be told.
struct ClassifyOptions {
  std::string checkpoint;
  std::vector<std::string> images;  ///< files, folders, or "-" alone: names on stdin
  int64_t top = 5;                  ///< classes shown
  double level = 0.95;              ///< of the set of classes
  double warn_below = 0.01;         ///< familiarity below counts as unfamiliar, attack_p is flagged
  std::string calibration;          ///< file; empty: the one that belongs to the model
  std::string heatmaps;             ///< folder for a sheet of maps of each picture; empty: none
  int64_t batch_size = 64;
  bool null_names = false;  ///< names on stdin end with a zero byte
  int64_t resize = 0;  ///< shorter side, pixels; 0: as the calibration or the training run had it
  bool exif = false;
  int64_t max_pixels = ImageLimits().max_pixels;
  RunOptions run;
};

/// Adds all options to a table that sets `options`.
void add_classify_options(OptionTable& table, ClassifyOptions& options);

/// After parsing: checks what concerns several options. Throws usage naming the flag.
void check_classify_options(const ClassifyOptions& options);

}  // namespace pal
