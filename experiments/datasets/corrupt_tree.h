#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/corruptions/corruption.h"
#include "experiments/datasets/clean_images.h"

namespace pal {

/// What a tree of corrupted pictures holds and how it is written.
struct CorruptTreeOptions {
  std::string output;
  std::vector<Corruption> corruptions;
  std::vector<int> severities;
  CorruptionOptions how;
  int64_t count = 0;    ///< images, spread evenly over the set; 0: all
  bool png = false;     ///< else JPEG, 4:2:0
  int quality = 85;     ///< of the JPEG
  bool groups = false;  ///< a folder of the corruption's group (noise, blur, ...) above its own
  int64_t workers = 1;
  /// One line that says how the images were made: a tree is continued only by the same.
  std::string settings;
  std::function<void(const std::string&)> show;  ///< lines of progress
};

/// What was done.
struct CorruptTreeResult {
  int64_t images = 0;   ///< clean ones
  int64_t written = 0;  ///< corrupted ones
  int64_t there = 0;    ///< that were there already
};

/// Writes OUTPUT/[GROUP/]CORRUPTION/SEVERITY/CLASS/NAME, in the published sets' names, and
/// corruptions.json with the settings. Pictures that are there are left alone, so a call that was
/// stopped goes on; each file is there whole or not at all (but for a power failure). Throws usage if
/// the folder holds something else or was made with other settings, and if two images would get one
/// name; environment if another process writes there, or nothing can be written.
CorruptTreeResult corrupt_tree(const CleanImages& images, const CorruptTreeOptions& options);

}  // namespace pal
