#include "data/sources/image_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <optional>
#include <utility>

#include "data/sources/hasher.h"
#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/random_reader.h"
#include "runtime/text.h"

namespace pal {
namespace {

constexpr const char* kFolderCache = "folder1";

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
  for (const int64_t count : {index.skipped.hidden, index.skipped.special, index.skipped.suffix})
    writer.number(count);
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
  for (int64_t* count : {&index.skipped.hidden, &index.skipped.special, &index.skipped.suffix})
    *count = reader.number();
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

/// Where the pictures of one folder end.
int64_t end_of(const FolderIndex& index, size_t folder) {
  return folder + 1 < index.folders.size() ? index.folders[folder + 1].first
                                           : index.pictures.size();
}

/// Up to five names for a message.
std::string some_of(const std::vector<std::string>& names) {
  constexpr size_t kMost = 5;
  std::string text;
  for (size_t i = 0; i < std::min(kMost, names.size()); ++i)
    text += (i == 0 ? "" : ", ") + one_line(names[i]);
  if (names.size() > kMost) text += fmt::format(" and {} more", names.size() - kMost);
  return text;
}

void check_classes(const FolderIndex& index, const std::string& name) {
  const auto& classes = index.class_names;
  expect(!classes.empty(), "{}: no class folders; expected FOLDER/CLASS/PICTURE", name);
  expect(classes.size() > 1, "{}: one class folder, {}; expected at least two", name,
         some_of(classes));
  std::vector<bool> filled(classes.size());
  for (size_t i = 0; i < index.folders.size(); ++i) {
    const FolderIndex::Folder& folder = index.folders[i];
    if (end_of(index, i) > folder.first) filled[static_cast<size_t>(folder.label)] = true;
  }
  std::vector<std::string> empty;
  for (size_t c = 0; c < classes.size(); ++c)
    if (!filled[c]) empty.push_back(classes[c]);
  expect(empty.empty(),
         "{}: no picture (.jpg, .jpeg, .png) in class folder {}; fill it or remove it", name,
         some_of(empty));
}

void report(const FolderIndex& index, const std::string& name) {
  for (const std::string& loop : index.loops)
    log_warning("{}: skipped, a link to a folder that it lies in", one_line(loop));
  const SkippedEntries& skipped = index.skipped;
  log_info("{}: {} pictures in {} classes", name, index.pictures.size(), index.class_names.size());
  if (skipped.total() > 0)
    log_info("{}: skipped {} hidden, {} of other types, {} neither files nor folders, {} loops",
             name, skipped.hidden, skipped.suffix, skipped.special, skipped.loops);
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

std::unique_ptr<ImageFolder> image_folder(const std::string& path, const std::string& cache) {
  const size_t last = path.find_last_not_of('/');
  const std::string root = path.substr(0, last == std::string::npos ? 1 : last + 1);
  FolderIndex index = open_index(root, cache);
  const std::string name = one_line(root);
  check_classes(index, name);
  report(index, name);
  return std::make_unique<ImageFolder>(root, std::move(index));
}

}  // namespace pal
