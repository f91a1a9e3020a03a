#include "experiments/datasets/picture_parts.h"

#include <algorithm>
#include <filesystem>

#include "data/archives/brace_pattern.h"
#include "data/pictures/image_file.h"
#include "data/sets/set_layout.h"
#include "data/sources/class_names.h"
#include "data/sources/hasher.h"
#include "data/sources/image_folder.h"
#include "data/sources/tar_shards.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/paths.h"
#include "runtime/text.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

/// Single files, all of one class.
class PictureFiles : public PictureSource {
 public:
  PictureFiles(std::string name, std::vector<std::string> paths)
      : name_(std::move(name)), paths_(std::move(paths)) {}

  const std::string& name() const override { return name_; }
  int64_t count() const override { return static_cast<int64_t>(paths_.size()); }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  int32_t label(int64_t) const override { return 0; }
  std::string item_name(int64_t index) const override {
    return one_line(paths_[static_cast<size_t>(index)]);
  }
  void read(int64_t index, std::vector<uint8_t>& bytes, int64_t most) const override {
    bytes = read_file(paths_[static_cast<size_t>(index)], most);
  }
  uint64_t fingerprint() const override {
    Hasher hasher;
    for (const std::string& path : paths_) hasher.add(path);
    return hasher.value();
  }

 private:
  std::string name_;
  std::vector<std::string> paths_;
  std::vector<std::string> class_names_ = {"files"};
};

bool is_picture_name(const fs::path& path) {
  const std::string name = path.filename().string();
  return has_picture_suffix(name) && !name.starts_with('.');
}

PicturePart open_shards(const std::string& name, const std::vector<std::string>& paths) {
  return {name, tar_shards(paths, name, class_names_in(fs::path(paths[0]).parent_path().string()))};
}

/// The parts of a set, in folders or in shards.
void add_named_parts(const std::string& folder, std::vector<PicturePart>& parts) {
  const auto layout = divided_set(folder);
  if (!layout || layout->kind == LayoutKind::idx) return;
  for (const auto& [part, paths] : layout->parts)
    if (layout->kind == LayoutKind::shards)
      parts.push_back(open_shards(name_of(part), paths));
    else
      parts.push_back(
          {name_of(part), std::make_unique<ImageFolder>(paths[0], index_folders(paths[0]))});
}

std::vector<PicturePart> open_folder(const std::string& folder) {
  std::vector<PicturePart> parts;
  add_named_parts(folder, parts);
  if (!parts.empty()) return parts;
  FolderIndex index = index_folders(folder);
  if (index.pictures.size() > 0)
    parts.push_back({folder, std::make_unique<ImageFolder>(folder, std::move(index))});
  std::vector<std::string> paths;
  std::error_code ignored;
  for (const auto& entry : folder_entries(folder))
    if (is_picture_name(entry.path()) && !entry.is_directory(ignored))
      paths.push_back(entry.path().string());
  std::ranges::sort(paths);
  if (!paths.empty())
    parts.push_back({folder, std::make_unique<PictureFiles>(folder, std::move(paths))});
  if (parts.empty())
    fail(ErrorKind::data, "{}: no pictures (.jpg, .jpeg, .png) in it or its class folders", folder);
  return parts;
}

}  // namespace

std::vector<PicturePart> open_parts(const std::vector<std::string>& arguments) {
  std::vector<PicturePart> parts;
  std::vector<std::string> files;
  for (const std::string& argument : arguments) {
    if (path_is_folder(argument)) {
      for (PicturePart& part : open_folder(argument)) parts.push_back(std::move(part));
    } else if (argument.ends_with(".tar")) {
      parts.push_back(open_shards(argument, find_shards(argument)));
    } else {
      files.push_back(argument);
    }
  }
  if (!files.empty())
    parts.push_back({"files", std::make_unique<PictureFiles>("files", std::move(files))});
  return parts;
}

}  // namespace pal
