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
  /// - a folder of class folders, tar shards or IDX files, divided into parts or not
  ///   (set_layout.h);
  /// - tar shards as a pattern, such as shards/train-{000..146}.tar, or a single one: they are all
  ///   that is read, whatever part is asked for;
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
  /// Whether class folders of the other parts must be among those of the training part. Else a part
  /// that has more keeps its own classes; one that has no more gets the training part's.
  bool same_classes = false;

  /// Classes whose images are not there, by name; a set that lacks one is as it is, unless
  /// `same_classes` is set: then that is an error.
  std::vector<std::string> left_out;
  /// The only classes whose images are there, by name, in the set's order; empty: all.
  std::vector<std::string> only;

  bool operator==(const DatasetSpec&) const = default;
};

/// Opens a part of a data set, or what stands in for it (`part_taken`). Labels of class folders go
/// by their names, in each part. Throws data or usage, naming what was looked for.
std::unique_ptr<Dataset> open_dataset(const DatasetSpec& spec, Split split);

/// The pictures of the same part as they are stored; for sets that `is_encoded`. Throws as
/// `open_dataset`, and usage for a set whose images are kept as pixels.
std::unique_ptr<PictureSource> open_pictures(const DatasetSpec& spec, Split split);

/// The parts that a set is divided into.
struct DatasetParts {
  bool train = false;
  bool validation = false;
  bool test = false;

  /// Whether it is not divided: the same images are opened whatever part is asked for.
  bool whole() const { return !train && !validation && !test; }
};

/// What is there. Throws data or usage, naming what was looked for.
DatasetParts parts_of(const DatasetSpec& spec);

/// The part that `open_dataset` opens where `wanted` is asked for: `val` for a `test` that a folder
/// lacks, `test` for a missing `val` where nothing else is there, `all` of a set that is not
/// divided. Throws as `open_dataset` for a part that is missing.
Split part_taken(const DatasetSpec& spec, Split wanted);

/// The training images, and those of them that choose checkpoints as `split_validation` has it:
/// none if `amount` is 0 and the set has a validation part.
ValidationSplit split_training(const DatasetSpec& spec, const DatasetInfo& info, double amount,
                               uint64_t seed);

/// Whether the pictures of a set are decoded from files when batches are made, to whatever size is
/// wanted. Throws data or usage, naming what was looked for.
bool is_encoded(const DatasetSpec& spec);

/// What a checkpoint records of sets that are known by a path, which it must not hold.
inline constexpr const char* kRecordedFolder = "folder";

/// Name of a set to record in a checkpoint: that of a known set, or kRecordedFolder.
std::string recorded_name(const DatasetSpec& spec);

}  // namespace pal
