#include "data/sets/set_layout.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "data/archives/brace_pattern.h"
#include "data/pictures/image_file.h"
#include "data/sets/part_names.h"
#include "data/sources/class_names.h"
#include "runtime/error.h"
#include "runtime/paths.h"
#include "runtime/random_reader.h"
#include "runtime/text.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

/// How deep below a class folder pictures are looked for.
constexpr int kDepth = 4;
/// Folders that are looked at for a set within the one that was named.
constexpr size_t kMostInner = 16;

/// Names in a folder in byte order, hidden ones left out; links are followed.
struct Entries {
  std::vector<std::string> folders;
  std::vector<std::string> files;
};

[[noreturn]] void fail_listing(const fs::path& folder, const std::error_code& error) {
  fail(is_file_fault(error.value()) ? ErrorKind::data : ErrorKind::environment,
       "{}: cannot list the folder: {}", one_line(folder.string()), error.message());
}

/// A folder that this process may not list holds nothing for it; a disk that fails is another matter.
void expect_listed(const fs::path& folder, const std::error_code& error) {
  if (error && !is_file_fault(error.value())) fail_listing(folder, error);
}

Entries entries_of(const std::string& folder) {
  Entries entries;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::string name = at->path().filename().string();
    if (name.starts_with('.')) continue;
    std::error_code ignored;
    (at->is_directory(ignored) ? entries.folders : entries.files).push_back(std::move(name));
  }
  if (error) fail_listing(folder, error);
  std::ranges::sort(entries.folders);
  std::ranges::sort(entries.files);
  return entries;
}

bool holds_folder(const fs::path& folder) {
  std::error_code error, ignored;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (!at->path().filename().string().starts_with('.') && at->is_directory(ignored)) return true;
  expect_listed(folder, error);
  return false;
}

bool holds_picture(const fs::path& folder, int depth = kDepth) {
  std::vector<fs::path> below;
  std::error_code error, ignored;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with('.')) continue;
    if (at->is_directory(ignored))
      below.push_back(at->path());
    else if (has_picture_suffix(name))
      return true;
  }
  expect_listed(folder, error);
  return depth > 0 && std::ranges::any_of(below, [&](const fs::path& inner) {
           return holds_picture(inner, depth - 1);
         });
}

using Parts = std::map<Split, std::vector<std::string>>;

/// The names of folders that hold the class folders of a part.
Parts folder_parts(const std::string& place, const Entries& entries) {
  Parts parts;
  for (const std::string& name : entries.folders)
    if (const auto part = part_of_folder(name); part && holds_folder(fs::path(place) / name))
      parts[*part].push_back(name);
  return parts;
}

Parts shard_parts(const Entries& entries) {
  Parts parts;
  for (const std::string& name : entries.files)
    if (const auto part = part_of_shard(name); part && name.ends_with(".tar"))
      parts[*part].push_back(name);
  return parts;
}

void expect_one_folder_each(const std::string& place, const Parts& parts) {
  for (const auto& [part, names] : parts)
    expect(names.size() == 1, "{}: {} may both be the {} part; rename or remove one",
           one_line(place), folder_list(names), name_of(part));
}

void expect_one_word_each(const std::string& place, const Parts& parts) {
  for (const auto& [part, names] : parts)
    for (const std::string& name : names)
      expect(part_word(name) == part_word(names[0]),
             "{}: {} and {} may both be of the {} part; name one kind by a pattern, or rename",
             one_line(place), one_line(names[0]), one_line(name), name_of(part));
}

SetLayout divided(const std::string& place, LayoutKind kind, Parts parts) {
  for (auto& [part, names] : parts)
    for (std::string& name : names) name = (fs::path(place) / name).string();
  return {place, kind, std::move(parts), {}};
}

SetLayout in_folders(const std::string& place, const Entries& entries, const Parts& parts) {
  expect_one_folder_each(place, parts);
  SetLayout layout = divided(place, LayoutKind::class_folders, parts);
  for (const std::string& name : entries.folders) {
    const bool is_part =
        std::ranges::any_of(parts, [&](const auto& part) { return part.second[0] == name; });
    if (!is_part && holds_picture(fs::path(place) / name, 0)) layout.unread.push_back(name);
  }
  return layout;
}

bool is_idx_name(const std::string& name) {
  return name.ends_with("-ubyte") || name.ends_with("-ubyte.gz");
}

/// The first folder that has a training part itself; empty if there is none.
std::string inner_set(const std::string& place, const Entries& entries) {
  for (size_t i = 0; i < std::min(kMostInner, entries.folders.size()); ++i) {
    std::error_code error, ignored;
    const fs::path inner = fs::path(place) / entries.folders[i];
    for (fs::directory_iterator at(inner, error), end; !error && at != end; at.increment(error)) {
      const std::string name = at->path().filename().string();
      if (part_of_folder(name) == Split::train && at->is_directory(ignored) &&
          holds_folder(at->path()))
        return inner.string();
    }
    expect_listed(inner, error);
  }
  return {};
}

[[noreturn]] void refuse(const std::string& place, const std::string& what) {
  fail(ErrorKind::data, "{}: {}", one_line(place), what);
}

/// Says why a folder without parts, shards or IDX files is no set of class folders.
/// `filled` are its folders that hold pictures.
[[noreturn]] void refuse_folder(const std::string& place, const Entries& entries,
                                const std::vector<std::string>& filled) {
  constexpr const char* kWanted = "expected train/CLASS/PICTURE, or CLASS/PICTURE of some classes";
  if (const std::string inner = inner_set(place, entries); !inner.empty())
    refuse(place,
           fmt::format("holds sets rather than classes; name one, such as {}", one_line(inner)));
  const auto tar = std::ranges::find_if(
      entries.files, [](const std::string& name) { return name.ends_with(".tar"); });
  if (tar != entries.files.end())
    refuse(place, fmt::format("has tar files such as {}, but none that is called train*.tar, "
                              "val*.tar or test*.tar; name the shards by a pattern, such as {}/{}",
                              one_line(*tar), one_line(place), "shard-{000..009}.tar"));
  if (filled.size() == 1 && !part_of_folder(filled[0]))
    refuse(place, fmt::format("one class folder, {}; expected at least two", one_line(filled[0])));
  if (!filled.empty())
    refuse(place, fmt::format("{} {} pictures but no class folders; {}", folder_list(filled),
                              filled.size() == 1 ? "holds" : "hold", kWanted));
  const auto pictures = std::ranges::count_if(entries.files, has_picture_suffix);
  if (pictures > 0)
    refuse(place, fmt::format("{} pictures but no folders of them; {}", pictures, kWanted));
  refuse(place,
         fmt::format(
             "{}; looked for class folders with pictures (.jpg, .jpeg, .png), train/ with "
             "val/, tar shards (train*.tar) and IDX files (...-ubyte)",
             entries.folders.empty() && entries.files.empty() ? "an empty folder" : "no data set"));
}

SetLayout undivided(const std::string& place, const Entries& entries) {
  std::vector<std::string> filled;
  bool has_class = false;  // which a folder called train may be beside others, but not alone
  for (const std::string& name : entries.folders) {
    if (filled.size() >= 2 && has_class) break;
    if (!holds_picture(fs::path(place) / name)) continue;
    filled.push_back(name);
    has_class = has_class || !part_of_folder(name);
  }
  if (filled.size() < 2 || !has_class || !inner_set(place, entries).empty())
    refuse_folder(place, entries, filled);
  return {place, LayoutKind::class_folders, {{Split::all, {place}}}, {}};
}

/// What the parts that are there are called: "train/ and val/", "val-000.tar".
std::string part_list(const SetLayout& layout) {
  std::vector<std::string> names;
  for (const auto& [part, paths] : layout.parts)
    names.push_back(fs::path(paths[0]).filename().string());
  if (layout.kind == LayoutKind::class_folders) return folder_list(names);
  return one_line(fmt::format("{}", fmt::join(names, " and ")));
}

}  // namespace

std::optional<SetLayout> divided_set(const std::string& folder) {
  const Entries entries = entries_of(folder);
  const Parts folders = folder_parts(folder, entries);
  const Parts shards = shard_parts(entries);
  const auto in_shards = [&] {
    expect_one_word_each(folder, shards);
    return divided(folder, LayoutKind::shards, shards);
  };
  if (folders.contains(Split::train)) return in_folders(folder, entries, folders);
  if (shards.contains(Split::train)) return in_shards();
  if (std::ranges::any_of(entries.files, is_idx_name))
    return SetLayout{
        folder, LayoutKind::idx, {{Split::train, {folder}}, {Split::test, {folder}}}, {}};
  if (!folders.empty()) return in_folders(folder, entries, folders);
  if (!shards.empty()) return in_shards();
  return {};
}

SetLayout layout_of(const std::string& place) {
  if (place.ends_with(".tar"))
    return {place, LayoutKind::shards, {{Split::all, find_shards(place)}}, {}};
  if (auto layout = divided_set(place)) return std::move(*layout);
  return undivided(place, entries_of(place));
}

Split part_taken(const SetLayout& layout, Split wanted) {
  if (layout.whole()) return Split::all;
  if (layout.has(wanted)) return wanted;
  expect(wanted != Split::all, "{}: has {}, got all", one_line(layout.place), part_list(layout));
  if (wanted == Split::test && layout.has(Split::validation)) return Split::validation;
  if (wanted == Split::validation && !layout.has(Split::train)) return Split::test;
  const bool folders = layout.kind == LayoutKind::class_folders;
  const std::string missing = wanted == Split::test
                                  ? (folders ? "val/ or test/" : "val*.tar or test*.tar")
                                  : fmt::format("{}{}", name_of(wanted), folders ? "/" : "*.tar");
  const std::string example = wanted == Split::test ? "val" : name_of(wanted);
  std::string hollow;
  for (const std::string& name : layout.unread)
    if (part_of_folder(name) == wanted)
      hollow = fmt::format(" ({} holds pictures but no class folders)", folder_list({name}));
  fail(ErrorKind::data, "{}: has {} but no {}{}; expected {}{}", one_line(layout.place),
       part_list(layout), missing, hollow, example, folders ? "/CLASS/PICTURE" : "*.tar");
}

}  // namespace pal
