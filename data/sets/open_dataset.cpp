#include "data/sets/open_dataset.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "data/sets/known_sets.h"
#include "data/sources/brace_pattern.h"
#include "data/sources/class_names.h"
#include "data/sources/image_folder.h"
#include "data/sources/places.h"
#include "data/sources/tar_shards.h"
#include "runtime/error.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

/// How a set is kept.
enum class Layout { known, class_folders, shards, idx };

bool in_memory(const std::string& name) {
  return name == "fashion-mnist" || name == "digits" || name.rfind("synthetic:", 0) == 0;
}

/// Sets of class folders that are made (prepared) from Debian packages.
bool is_prepared(const std::string& name) { return name == "stamps" || name == "clipart"; }

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

const std::string& name_of(const DatasetSpec& spec) {
  return spec.name.empty() ? spec.folder : spec.name;
}

/// A name that is known without a path, a folder or a pattern.
std::string place_of(const DatasetSpec& spec) {
  if (!is_prepared(spec.name)) return name_of(spec);
  if (!spec.folder.empty()) return spec.folder;
  std::vector<std::string> places = data_places(spec.name, {cache_folder() + "/" + spec.name});
  for (const std::string& place : places)
    if (is_folder(fs::path(place) / "train")) return place;
  fail(ErrorKind::data, "{0}: not in {1}; prepare {0} first, or name its folder", spec.name,
       fmt::join(places, ", "));
}

bool has_shards(const std::string& folder, const std::string& prefix) {
  return !shards_in(folder, prefix).empty();
}

Layout layout_of(const DatasetSpec& spec) {
  const std::string place = place_of(spec);
  if (in_memory(place)) return Layout::known;
  if (place.ends_with(".tar")) return Layout::shards;
  if (!is_folder(place))
    fail(ErrorKind::data,
         "{}: neither a data set (fashion-mnist, digits, stamps, clipart, synthetic:CLASSES), a "
         "pattern of tar "
         "shards nor a folder",
         place);
  if (is_folder(fs::path(place) / "train")) return Layout::class_folders;
  if (has_shards(place, "train")) return Layout::shards;
  return Layout::idx;
}

/// Folder that a pattern's shards lie in.
std::string folder_of(const DatasetSpec& spec) {
  const std::string place = place_of(spec);
  if (!place.ends_with(".tar")) return place;
  const std::string parent = fs::path(place).parent_path().string();
  return parent.empty() ? "." : parent;
}

std::string folder_of_split(const DatasetSpec& spec, Split split) {
  const fs::path place = place_of(spec);
  expect(split != Split::all, "{}: has the parts train and val, got all", place.string());
  if (split == Split::test && !is_folder(place / "test")) split = Split::validation;
  return (place / name_of(split)).string();
}

std::vector<std::string> shards_of_split(const DatasetSpec& spec, Split split) {
  const std::string place = place_of(spec);
  if (split == Split::train && place.ends_with(".tar")) return find_shards(place);
  expect(split != Split::all, "{}: has the parts train and val, got all", place);
  const std::string folder = folder_of(spec);
  if (split == Split::test && !has_shards(folder, "test")) split = Split::validation;
  return find_shards(folder, name_of(split));
}

std::vector<std::string> shard_class_names(const DatasetSpec& spec) {
  if (!spec.class_names.empty()) return read_class_names(spec.class_names);
  std::vector<std::string> names = class_names_in(folder_of(spec));
  return names.empty() ? spec.shard_classes : names;
}

std::unique_ptr<Dataset> open_encoded(const DatasetSpec& spec, Split split, Layout layout) {
  std::unique_ptr<PictureSource> source;
  if (layout == Layout::shards)
    source =
        tar_shards(shards_of_split(spec, split),
                   fmt::format("{} ({})", place_of(spec), name_of(split)), shard_class_names(spec));
  else
    source = image_folder(folder_of_split(spec, split));
  std::vector<std::string> names;
  if (layout == Layout::class_folders && !spec.class_names.empty())
    names = class_names_for(source->class_names(), spec.class_names);
  return encoded_dataset(std::move(source), spec.image_size, spec.channels, std::move(names));
}

}  // namespace

std::unique_ptr<Dataset> open_dataset(const DatasetSpec& spec, Split split) {
  const Layout layout = layout_of(spec);
  if (layout == Layout::known || layout == Layout::idx)
    return memory_dataset(
        load_dataset(place_of(spec), split, spec.name.empty() ? std::string() : spec.folder));
  return open_encoded(spec, split, layout);
}

bool has_validation(const DatasetSpec& spec) {
  switch (layout_of(spec)) {
    case Layout::class_folders:
      return is_folder(fs::path(place_of(spec)) / name_of(Split::validation));
    case Layout::shards:
      return has_shards(folder_of(spec), name_of(Split::validation));
    case Layout::known:
    case Layout::idx:
      break;
  }
  return false;
}

ValidationSplit split_training(const DatasetSpec& spec, const DatasetInfo& info, double amount,
                               uint64_t seed) {
  if (amount == 0.0 && has_validation(spec)) return {all_images(info), {}};
  return split_validation(info.name, info.count, amount, seed);
}

std::string recorded_name(const DatasetSpec& spec) {
  const std::string& name = name_of(spec);
  return in_memory(name) || is_prepared(name) ? name : kRecordedFolder;
}

}  // namespace pal
