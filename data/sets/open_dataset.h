#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/batches/validation_split.h"
#include "data/sets/dataset.h"

namespace pal {

/// Where labelled images come from and how a network wants them.
struct DatasetSpec {
  /// - a set known to `load_dataset` (fashion-mnist, digits, synthetic:...), looked for in `folder`
  ///   if that is given;
  /// - stamps or clipart, class folders prepared from Debian packages, in `folder` or else below
  ///   $PALINDROME_DATA or the cache folder;
  /// - a folder: with class folders in train/, val/ and perhaps test/; with tar shards train*.tar,
  ///   val*.tar, test*.tar; or with the IDX files of the MNIST family;
  /// - a list of shards as a pattern, such as shards/train-{000..146}.tar;
  /// - empty: `folder` is meant.
  std::string name;
  std::string folder;
  /// Side of encoded pictures as the network gets them, and their channels (1 or 3).
  int64_t image_size = 224;
  int64_t channels = 3;
  /// Names of the classes of encoded pictures, see `class_names_for`; empty: the folders' names, or
  /// classes.txt beside shards, or numbers.
  std::string class_names;
  /// Classes of shards that have no names of their own: shards hold numbers, and a part may lack
  /// the largest.
  std::vector<std::string> shard_classes;

  bool operator==(const DatasetSpec&) const = default;
};

/// Opens a part of a data set. `test` of a folder without one is its val. Throws data or usage,
/// naming what was looked for.
std::unique_ptr<Dataset> open_dataset(const DatasetSpec& spec, Split split);

/// Whether the set brings images for validation beside those for training.
bool has_validation(const DatasetSpec& spec);

/// The training images, and those of them that choose checkpoints as `split_validation` has it:
/// none if `amount` is 0 and the set brings its own.
ValidationSplit split_training(const DatasetSpec& spec, const DatasetInfo& info, double amount,
                               uint64_t seed);

/// What a checkpoint records of sets that are known by a path, which it must not hold.
inline constexpr const char* kRecordedFolder = "folder";

/// Name of a set to record in a checkpoint: that of a known set, or kRecordedFolder.
std::string recorded_name(const DatasetSpec& spec);

}  // namespace pal
