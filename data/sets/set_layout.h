#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/sources/image_set.h"

namespace pal {

/// How the pictures of a set are kept.
enum class LayoutKind : uint8_t { class_folders, shards, idx };

/// What lies where in a folder, or behind a pattern of tar shards.
struct SetLayout {
  std::string place;  ///< the folder or the pattern
  LayoutKind kind = LayoutKind::class_folders;
  /// The folder of each part that is there, or its shards in byte order. A set that is not divided
  /// (class folders alone, or shards that were named) has the part `all` and no other. Of IDX files
  /// nothing but that there are two parts.
  std::map<Split, std::vector<std::string>> parts;
  /// Folders in the set's that hold pictures but belong to no part.
  std::vector<std::string> unread;

  bool has(Split part) const { return parts.contains(part); }
  bool whole() const { return has(Split::all); }
};

/// Looks for the parts of a folder:
/// - folders of class folders that are called as parts (part_names.h), one of them for training;
/// - else tar shards that are called as parts, some of them for training;
/// - else IDX files (...-ubyte, ...-ubyte.gz);
/// - else the same folders, or shards, without a training part.
/// Nothing if there are none. A folder called as a part that holds no folder is a class. Throws
/// data if the folder may not be read; usage for two folders, or two names of shards, for one part.
std::optional<SetLayout> divided_set(const std::string& folder);

/// The parts of a folder, or else its class folders, of which at least two must hold pictures; or
/// the shards of a pattern that ends in .tar: what it names is what is read. Throws as
/// `divided_set`; data, saying what is there and what was looked for, for a folder without any of
/// these; usage for malformed patterns.
SetLayout layout_of(const std::string& place);

/// The part that is opened where `wanted` is asked for: all of a set that is not divided; `val` for
/// a missing `test`; `test` for a missing `val` if there is nothing else. Throws data, naming what
/// is there, if that is missing; usage for `all` of a divided set.
Split part_taken(const SetLayout& layout, Split wanted);

}  // namespace pal
