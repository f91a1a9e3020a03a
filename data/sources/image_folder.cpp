#include "data/sources/image_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <optional>
#include <utility>

#include "data/sources/folder_classes.h"
#include "data/sources/hasher.h"
#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/random_reader.h"
#include "runtime/text.h"

namespace pal {
namespace {

constexpr const char* kFolderCache = "folder3";

CacheWriter pack(const FolderIndex& index) {
  CacheWriter writer;
  writer.texts(index.class_names);
  writer.number(static_cast<int64_t>(index.folders.size()));
  for (const FolderIndex::Folder& folder : index.folders) {
    writer.text(folder.path);
    writer.number(folder.label);
    writer.number(folder.first);
    writer.stamp(folder.stamp);
  }
  writer.names(index.pictures);
  writer.number(index.skipped.hidden);
  writer.number(index.skipped.special);
  for (const SkippedFiles* files : {&index.skipped.suffix, &index.skipped.outside}) {
    writer.number(files->count);
    writer.texts(files->first);
  }
  return writer;
}

/// The kept index, if it is whole and every folder is as it was.
std::optional<FolderIndex> unpack(CacheReader reader, const std::string& root) {
  FolderIndex index;
  index.class_names = reader.texts();
  const auto classes = static_cast<int64_t>(index.class_names.size());
  int64_t before = 0;
  for (int64_t left = reader.number(); left > 0; --left) {
    FolderIndex::Folder folder;
    folder.path = reader.text();
    const int64_t label = reader.number();
    folder.label = static_cast<int32_t>(label);
    folder.first = reader.number();
    folder.stamp = reader.stamp();
    const std::string path = folder.path.empty() ? root : root + "/" + folder.path;
    const bool known = index.folders.empty() ? label == -1 : label >= 0 && label < classes;
    if (!known || folder.first < before || stamp_of(path) != folder.stamp) return {};
    before = folder.first;
    index.folders.push_back(std::move(folder));
  }
  index.pictures = reader.names();
  index.skipped.hidden = reader.number();
  index.skipped.special = reader.number();
  for (SkippedFiles* files : {&index.skipped.suffix, &index.skipped.outside}) {
    files->count = reader.number();
    files->first = reader.texts();
  }
  const bool whole = reader.at_end() && before <= index.pictures.size() && !index.folders.empty() &&
                     index.folders[0].path.empty();
  return whole ? std::optional(std::move(index)) : std::nullopt;
}

std::optional<FolderIndex> recall(const IndexCache& cache, const std::string& root) {
  auto reader = cache.load();
  if (!reader) return {};
  try {
    return unpack(std::move(*reader), root);
  } catch (const Error&) {
    return {};
  }
}

FolderIndex open_index(const std::string& root, const std::string& cache_folder) {
  std::error_code ignored;
  const auto absolute = std::filesystem::absolute(root, ignored).lexically_normal().string();
  const IndexCache cache(cache_folder, kFolderCache, absolute);
  if (auto index = recall(cache, root)) return std::move(*index);
  FolderIndex index = index_folders(root);
  if (index.settled) cache.store(pack(index));
  return index;
}

std::string counted(int64_t count, const char* one, const char* several) {
  return fmt::format("{} {}", count, count == 1 ? one : several);
}

std::string names_of(const SkippedFiles& files) {
  std::string text;
  for (const std::string& path : files.first) text += (text.empty() ? ": " : ", ") + one_line(path);
  return files.count > static_cast<int64_t>(files.first.size()) ? text + ", ..." : text;
}

/// Each kind that there is; loops have warnings of their own.
std::string skipped_text(const SkippedEntries& skipped) {
  std::vector<std::string> kinds;
  const auto& [hidden, special, suffix, outside, loops] = skipped;
  if (suffix.count > 0)
    kinds.push_back(counted(suffix.count, "file that is no picture", "files that are no pictures") +
                    names_of(suffix));
  if (outside.count > 0)
    kinds.push_back(counted(outside.count, "picture", "pictures") + " outside the class folders" +
                    names_of(outside));
  if (hidden > 0) kinds.push_back(counted(hidden, "hidden entry", "hidden entries"));
  if (special > 0)
    kinds.push_back(counted(special, "entry that is neither file nor folder",
                            "entries that are neither files nor folders"));
  return fmt::format("{}", fmt::join(kinds, "; "));
}

void report(const FolderIndex& index, const std::string& name) {
  for (const std::string& loop : index.loops)
    log_warning("{}: skipped, a link to a folder that it lies in", one_line(loop));
  log_info("{}: {} pictures in {} classes", name, index.pictures.size(), index.class_names.size());
  if (const int64_t nested = pictures_in_subfolders(index); nested > 0)
    log_info("{}: {} in sub-folders of a class {} as its own", name,
             counted(nested, "picture", "pictures"), nested == 1 ? "counts" : "count");
  if (const std::string skipped = skipped_text(index.skipped); !skipped.empty())
    log_info("{}: skipped {}", name, skipped);
}

uint64_t hash_of(const FolderIndex& index) {
  Hasher hasher;
  for (const std::string& name : index.class_names) hasher.add(name);
  for (size_t i = 0; i < index.folders.size(); ++i) {
    const int64_t first = index.folders[i].first;
    const int64_t end = end_of(index, i);
    if (first == end) continue;
    hasher.add(index.folders[i].path);
    hasher.add(end - first);
    for (int64_t picture = first; picture < end; ++picture) hasher.add(index.pictures[picture]);
  }
  return hasher.value();
}

}  // namespace

ImageFolder::ImageFolder(std::string root, FolderIndex index)
    : root_(std::move(root)),
      name_(one_line(root_)),
      index_(std::move(index)),
      fingerprint_(hash_of(index_)) {}

std::string ImageFolder::item_name(int64_t index) const {
  return one_line(root_ + "/" + picture_path(index_, index));
}

void ImageFolder::read(int64_t index, std::vector<uint8_t>& bytes, int64_t most) const {
  const std::string path = root_ + "/" + picture_path(index_, index);
  const FileReader file(path, one_line(path));
  if (file.size() > most)
    fail(ErrorKind::data, "{}: {} bytes, expected at most {}", file.name(), file.size(), most);
  bytes.resize(static_cast<size_t>(file.size()));
  file.read(0, bytes);
}

std::unique_ptr<ImageFolder> image_folder(const std::string& path, const std::string& cache,
                                          const OtherClasses& classes) {
  const size_t last = path.find_last_not_of('/');
  const std::string root = path.substr(0, last == std::string::npos ? 1 : last + 1);
  FolderIndex index = open_index(root, cache);
  const std::string name = one_line(root);
  const bool adopts = !classes.names.empty() &&
                      (classes.binding || first_other_class(index, classes.names).empty());
  if (adopts)
    adopt_classes(index, name, classes.names, classes.folder);
  else
    expect_filled_classes(index, name);
  report(index, name);
  return std::make_unique<ImageFolder>(root, std::move(index));
}

}  // namespace pal
