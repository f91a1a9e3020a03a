#include "data/sets/open_dataset.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "data/sets/known_sets.h"
#include "data/sets/part_names.h"
#include "data/sets/set_layout.h"
#include "data/sets/unknown_set.h"
#include "data/sources/class_names.h"
#include "data/sources/class_subset.h"
#include "data/sources/image_folder.h"
#include "data/sources/places.h"
#include "data/sources/tar_shards.h"
#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/paths.h"
#include "runtime/text.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

/// Sets of class folders that are made (prepared) from Debian packages.
bool is_prepared(const std::string& name) { return name == "stamps" || name == "clipart"; }

const std::string& name_of(const DatasetSpec& spec) {
  return spec.name.empty() ? spec.folder : spec.name;
}

/// A name that is known without a path, a folder or a pattern.
std::string place_of(const DatasetSpec& spec) {
  if (!is_prepared(spec.name)) return name_of(spec);
  if (!spec.folder.empty()) return spec.folder;
  std::vector<std::string> places = data_places(spec.name, {cache_folder() + "/" + spec.name});
  for (const std::string& place : places)
    if (path_is_folder(fs::path(place) / "train")) return place;
  fail(ErrorKind::data, "{}: not in {}; prepare {} first, or name its folder", spec.name,
       fmt::join(places, ", "), spec.name);
}

SetLayout layout_of_set(const DatasetSpec& spec) {
  const std::string place = place_of(spec);
  if (!place.ends_with(".tar") && !path_is_folder(place)) refuse_unknown_set(place);
  return layout_of(place);
}

/// The names that --class-names or a file beside the shards gives.
std::vector<std::string> shard_class_names(const DatasetSpec& spec, const std::string& shard) {
  if (!spec.class_names.empty()) return read_class_names(spec.class_names);
  const std::string folder = fs::path(shard).parent_path().string();
  std::vector<std::string> names = class_names_in(folder.empty() ? "." : folder);
  return names.empty() ? spec.shard_classes : names;
}

bool chooses_classes(const DatasetSpec& spec) {
  return !spec.left_out.empty() || !spec.only.empty();
}

/// The classes of a set that the spec leaves.
ClassChoice chosen_classes(const DatasetSpec& spec, const std::string& set,
                           const std::vector<std::string>& names) {
  std::vector<bool> kept(names.size(), spec.only.empty());
  const auto mark = [&](const std::vector<std::string>& wanted, bool as, bool must) {
    for (const std::string& name : wanted) {
      const auto found = std::ranges::find(names, name);
      if (found != names.end()) {
        kept[static_cast<size_t>(found - names.begin())] = as;
      } else if (must) {
        const std::string nearest = nearest_name(name, names);
        fail(ErrorKind::usage, "{}: has no class '{}'; {}", one_line(set), one_line(name),
             nearest.empty() ? "its classes: " + some_names(names)
                             : fmt::format("did you mean '{}'?", one_line(nearest)));
      }
    }
  };
  mark(spec.only, true, true);
  mark(spec.left_out, false, spec.same_classes);
  ClassChoice choice = choose_classes(names, kept);
  expect(!choice.names.empty(), "{}: all of its classes are left out", one_line(set));
  return choice;
}

std::unique_ptr<PictureSource> open_shards(const DatasetSpec& spec, const SetLayout& layout,
                                           Split part) {
  const std::vector<std::string>& paths = layout.parts.at(part);
  const std::string name =
      layout.whole() ? layout.place : fmt::format("{} ({})", layout.place, name_of(part));
  return tar_shards(paths, name, shard_class_names(spec, paths.at(0)));
}

std::unique_ptr<PictureSource> open_folders(const DatasetSpec& spec, const SetLayout& layout,
                                            Split part) {
  OtherClasses classes;
  classes.binding = spec.same_classes;
  const bool other = part != Split::train && layout.has(Split::train);
  if (other) {
    classes.folder = layout.parts.at(Split::train)[0];
    classes.names = class_folders(classes.folder);
  } else if (!layout.unread.empty()) {
    log_warning("{}: pictures in {} are not read: no class folders of a part",
                one_line(layout.place), folder_list(layout.unread));
  }
  return image_folder(layout.parts.at(part)[0], index_cache_folder(), classes);
}

std::unique_ptr<PictureSource> open_source(const DatasetSpec& spec, Split split,
                                           const SetLayout& layout) {
  const Split part = part_taken(layout, split);
  return layout.kind == LayoutKind::class_folders ? open_folders(spec, layout, part)
                                                  : open_shards(spec, layout, part);
}

std::unique_ptr<Dataset> open_encoded(const DatasetSpec& spec, Split split,
                                      const SetLayout& layout) {
  auto source = open_source(spec, split, layout);
  std::vector<std::string> names;
  if (layout.kind == LayoutKind::class_folders && !spec.class_names.empty())
    names = class_names_for(source->class_names(), spec.class_names);
  if (names.empty()) names = source->class_names();
  if (chooses_classes(spec)) {
    const ClassChoice chosen = chosen_classes(spec, layout.place, names);
    names = chosen.names;
    source = picture_subset(std::move(source), chosen);
  }
  return encoded_dataset(std::move(source), spec.image_size, spec.channels, std::move(names));
}

std::unique_ptr<Dataset> memory_part(const DatasetSpec& spec, ImageSet set) {
  if (chooses_classes(spec)) {
    const ClassChoice chosen = chosen_classes(spec, set.name, set.class_names);
    set = image_subset(set, chosen);
  }
  return memory_dataset(std::move(set));
}

}  // namespace

std::unique_ptr<Dataset> open_dataset(const DatasetSpec& spec, Split split) {
  const std::string place = place_of(spec);
  const std::string folder = spec.name.empty() ? std::string() : spec.folder;
  if (is_of_fixed_size(place)) return memory_part(spec, load_dataset(place, split, folder));
  const SetLayout layout = layout_of_set(spec);
  if (layout.kind == LayoutKind::idx) return memory_part(spec, load_dataset(place, split));
  return open_encoded(spec, split, layout);
}

std::unique_ptr<PictureSource> open_pictures(const DatasetSpec& spec, Split split) {
  expect(is_encoded(spec), "{}: holds pixels, not pictures", one_line(name_of(spec)));
  return open_source(spec, split, layout_of_set(spec));
}

DatasetParts parts_of(const DatasetSpec& spec) {
  if (is_of_fixed_size(place_of(spec))) return {.train = true, .test = true};
  const SetLayout layout = layout_of_set(spec);
  return {.train = layout.has(Split::train),
          .validation = layout.has(Split::validation),
          .test = layout.has(Split::test)};
}

Split part_taken(const DatasetSpec& spec, Split wanted) {
  if (is_of_fixed_size(place_of(spec))) return wanted;
  const SetLayout layout = layout_of_set(spec);
  return layout.kind == LayoutKind::idx ? wanted : part_taken(layout, wanted);
}

bool is_encoded(const DatasetSpec& spec) {
  return !is_of_fixed_size(place_of(spec)) && layout_of_set(spec).kind != LayoutKind::idx;
}

ValidationSplit split_training(const DatasetSpec& spec, const DatasetInfo& info, double amount,
                               uint64_t seed) {
  if (amount == 0.0 && parts_of(spec).validation) return {all_images(info), {}};
  return split_validation(info.name, info.count, amount, seed);
}

std::string recorded_name(const DatasetSpec& spec) {
  const std::string& name = name_of(spec);
  return is_of_fixed_size(name) || is_prepared(name) ? name : kRecordedFolder;
}

}  // namespace pal
