#include "data/sets/idx_set.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "data/archives/idx.h"
#include "data/sources/class_names.h"
#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/text.h"

namespace pal {
namespace {

int64_t label_limit(const std::vector<uint8_t>& labels) {
  return int64_t{1} + *std::max_element(labels.begin(), labels.end());
}

IdxArray read_labels(const std::string& path) {
  IdxArray labels = read_idx(path);
  if (labels.shape.size() != 1)
    fail(ErrorKind::data, "{}:3: expected labels with 1 extent, got {}", path, labels.shape);
  return labels;
}

/// `folder`/`name` or the same with .gz; empty if neither exists.
std::string find_idx(const std::string& folder, const std::string& name) {
  for (const char* suffix : {"", ".gz"}) {
    std::string path = (std::filesystem::path(folder) / (name + suffix)).string();
    if (std::filesystem::exists(path)) return path;
  }
  return {};
}

struct FamilyFiles {
  std::string images, labels, training_labels;
};

/// The files of one part in a folder of the MNIST family. Throws data if one is missing.
FamilyFiles family_files(const std::string& folder, Split split) {
  const char* part = split == Split::train ? "train" : "t10k";
  const auto find = [&](const char* prefix, const char* kind) {
    const std::string name = std::string(prefix) + kind;
    std::string path = find_idx(folder, name);
    if (path.empty())
      fail(ErrorKind::data,
           "{}: holds neither {} nor {}.gz; expected the four IDX files of the MNIST family",
           folder, name, name);
    return path;
  };
  FamilyFiles files;
  files.images = find(part, "-images-idx3-ubyte");
  files.labels = find(part, "-labels-idx1-ubyte");
  files.training_labels = find("train", "-labels-idx1-ubyte");
  find("t10k", "-labels-idx1-ubyte");
  return files;
}

ImageSet load_part(const std::string& folder, Split split, int64_t classes) {
  const FamilyFiles files = family_files(folder, split);
  if (classes == 0) classes = label_limit(read_labels(files.training_labels).values);
  return load_idx_set(files.images, files.labels, classes);
}

/// Classes of a training part that have no image, for a warning; empty if there are none.
std::string empty_classes(const ImageSet& train) {
  std::vector<bool> filled(static_cast<size_t>(train.classes));
  for (const int32_t label : train.labels) filled[static_cast<size_t>(label)] = true;
  std::vector<std::string> empty;
  for (size_t c = 0; c < filled.size(); ++c)
    if (!filled[c]) empty.push_back(train.class_names[c]);
  if (empty.empty()) return {};
  return fmt::format("no training images of {} of {} classes: {}", empty.size(), filled.size(),
                     some_names(empty));
}

}  // namespace

ImageSet load_idx_images(const std::string& path) {
  IdxArray images = read_idx(path);
  const size_t extents = images.shape.size();
  if (extents != 3 && !(extents == 4 && (images.shape[3] == 1 || images.shape[3] == 3)))
    fail(
        ErrorKind::data,
        "{}:3: expected images as [count, height, width] or [count, height, width, 1 or 3], got {}",
        path, images.shape);
  ImageSet set;
  set.name = path;
  set.count = images.shape[0];
  set.height = images.shape[1];
  set.width = images.shape[2];
  set.channels = extents == 4 ? images.shape[3] : 1;
  set.classes = 1;
  set.class_names = {"0"};
  set.pixels = std::move(images.values);
  set.labels.assign(static_cast<size_t>(set.count), 0);
  set_fingerprint(set);
  return set;
}

ImageSet load_idx_set(const std::string& images_path, const std::string& labels_path,
                      int64_t classes) {
  ImageSet set = load_idx_images(images_path);
  const IdxArray labels = read_labels(labels_path);
  if (set.count != labels.shape[0])
    fail(ErrorKind::data, "{}:4: {} labels for {} images of {}", labels_path, labels.shape[0],
         set.count, images_path);
  if (classes == 0) classes = label_limit(labels.values);
  set.classes = classes;
  set.class_names.clear();
  for (int64_t c = 0; c < classes; ++c) set.class_names.push_back(std::to_string(c));
  constexpr size_t kLabelHeader = 8;
  for (size_t i = 0; i < labels.values.size(); ++i)
    if (labels.values[i] >= classes)
      fail(ErrorKind::data, "{}:{}: label {} of image {}, expected 0 to {}", labels_path,
           kLabelHeader + i, labels.values[i], i, classes - 1);
  set.labels.assign(labels.values.begin(), labels.values.end());
  set_fingerprint(set);
  return set;
}

bool is_idx_folder(const std::string& folder) {
  return !find_idx(folder, "train-images-idx3-ubyte").empty();
}

bool holds_idx_family(const std::string& folder) {
  for (const char* part : {"train", "t10k"})
    for (const char* kind : {"-images-idx3-ubyte", "-labels-idx1-ubyte"})
      if (!find_idx(folder, std::string(part) + kind).empty()) return true;
  return false;
}

ImageSet load_idx_folder(const std::string& folder, Split split, int64_t classes) {
  ImageSet set = load_part(folder, split, classes);
  if (split == Split::train)
    if (const std::string empty = empty_classes(set); !empty.empty())
      log_warning("{}: {}", one_line(folder), empty);
  return set;
}

std::vector<std::string> check_idx_folder(const std::string& folder) {
  const std::string empty = empty_classes(load_part(folder, Split::train, 0));
  load_part(folder, Split::test, 0);
  return empty.empty() ? std::vector<std::string>() : std::vector<std::string>{empty};
}

}  // namespace pal
