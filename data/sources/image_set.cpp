#include "data/sources/image_set.h"

#include <fmt/ranges.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "data/archives/idx.h"
#include "data/batches/order.h"
#include "data/sets/digits.h"
#include "data/sets/synthetic.h"
#include "data/sources/places.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr const char* kFashionFolder = "/usr/share/datasets/fashion-mnist";

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
  std::string images, labels, other_labels;
};

/// The files of one part in a folder of the MNIST family. Throws data if one is missing.
FamilyFiles family_files(const std::string& folder, Split split) {
  const char* part = split == Split::train ? "train" : "t10k";
  const char* other = split == Split::train ? "t10k" : "train";
  const auto find = [&](const char* prefix, const char* kind) {
    const std::string name = std::string(prefix) + kind;
    std::string path = find_idx(folder, name);
    if (path.empty())
      fail(ErrorKind::data,
           "{}: holds neither {} nor {}.gz; expected the four IDX files of the MNIST family",
           folder, name, name);
    return path;
  };
  return {find(part, "-images-idx3-ubyte"), find(part, "-labels-idx1-ubyte"),
          find(other, "-labels-idx1-ubyte")};
}

void expect_part(const std::string& name, Split split) {
  expect(split == Split::train || split == Split::test, "{}: has the parts train and test, got {}",
         name, name_of(split));
}

ImageSet load_fashion(Split split, const std::string& folder) {
  expect_part("fashion-mnist", split);
  std::vector<std::string> places = {folder};
  if (folder.empty())
    places = data_places("fashion-mnist", {cache_folder() + "/fashion-mnist", kFashionFolder});
  const auto place = std::find_if(places.begin(), places.end(), [](const std::string& candidate) {
    return !find_idx(candidate, "train-images-idx3-ubyte").empty();
  });
  if (place == places.end())
    fail(ErrorKind::data,
         "fashion-mnist: no train-images-idx3-ubyte[.gz] in {}; install the Debian package "
         "dataset-fashion-mnist, or name the folder that holds its four files",
         fmt::join(places, ", "));
  const FamilyFiles files = family_files(*place, split);
  ImageSet set = load_idx_set(files.images, files.labels, 10);
  set.name = "fashion-mnist";
  set.class_names = {"T-shirt", "trouser", "pullover", "dress", "coat",
                     "sandal",  "shirt",   "sneaker",  "bag",   "ankle boot"};
  return set;
}

ImageSet load_folder(const std::string& folder, Split split) {
  expect_part(folder, split);
  if (!std::filesystem::is_directory(folder))
    fail(ErrorKind::data,
         "{}: neither a data set (fashion-mnist, digits, synthetic:CLASSES) nor a folder", folder);
  const FamilyFiles files = family_files(folder, split);
  const int64_t classes = std::max(label_limit(read_labels(files.labels).values),
                                   label_limit(read_labels(files.other_labels).values));
  ImageSet set = load_idx_set(files.images, files.labels, classes);
  set.name = std::filesystem::path(folder).lexically_normal().string();
  return set;
}

}  // namespace

const char* name_of(Split split) {
  switch (split) {
    case Split::train:
      return "train";
    case Split::validation:
      return "val";
    case Split::test:
      return "test";
    case Split::all:
      break;
  }
  return "all";
}

void set_fingerprint(ImageSet& set) {
  XXH3_state_t* const state = XXH3_createState();
  XXH3_64bits_reset(state);
  XXH3_64bits_update(state, set.pixels.data(), set.pixels.size());
  XXH3_64bits_update(state, set.labels.data(), set.labels.size() * sizeof(int32_t));
  set.fingerprint = XXH3_64bits_digest(state);
  XXH3_freeState(state);
}

ImageSet load_idx_set(const std::string& images_path, const std::string& labels_path,
                      int64_t classes) {
  IdxArray images = read_idx(images_path);
  const IdxArray labels = read_labels(labels_path);
  const size_t extents = images.shape.size();
  if (extents != 3 && !(extents == 4 && (images.shape[3] == 1 || images.shape[3] == 3)))
    fail(
        ErrorKind::data,
        "{}:3: expected images as [count, height, width] or [count, height, width, 1 or 3], got {}",
        images_path, images.shape);
  if (images.shape[0] != labels.shape[0])
    fail(ErrorKind::data, "{}:4: {} labels for {} images of {}", labels_path, labels.shape[0],
         images.shape[0], images_path);
  if (classes == 0) classes = label_limit(labels.values);
  ImageSet set;
  set.name = images_path;
  set.count = images.shape[0];
  set.height = images.shape[1];
  set.width = images.shape[2];
  set.channels = extents == 4 ? images.shape[3] : 1;
  set.classes = classes;
  for (int64_t c = 0; c < classes; ++c) set.class_names.push_back(std::to_string(c));
  set.pixels = std::move(images.values);
  constexpr size_t kLabelHeader = 8;
  for (size_t i = 0; i < labels.values.size(); ++i)
    if (labels.values[i] >= classes)
      fail(ErrorKind::data, "{}:{}: label {} of image {}, expected 0 to {}", labels_path,
           kLabelHeader + i, labels.values[i], i, classes - 1);
  set.labels.assign(labels.values.begin(), labels.values.end());
  set_fingerprint(set);
  return set;
}

ImageSet load_dataset(const std::string& name, Split split, const std::string& folder) {
  if (name == "fashion-mnist") return load_fashion(split, folder);
  if (name == "digits") return load_digits(split, folder);
  if (name.rfind("synthetic:", 0) == 0) return load_synthetic(name, split);
  return load_folder(name, split);
}

ValidationSplit split_validation(const std::string& name, int64_t count, double amount,
                                 uint64_t seed) {
  constexpr int64_t kDefaultImages = 5000;
  constexpr int64_t kDefaultShare = 10;
  expect(std::isfinite(amount) && amount >= 0.0,
         "--validation: expected a number or a fraction of images, got {}", amount);
  double wanted = amount;
  if (amount == 0.0)
    wanted = static_cast<double>(std::min(kDefaultImages, count / kDefaultShare));
  else if (amount < 1.0)
    wanted = std::floor(amount * static_cast<double>(count));
  expect(wanted >= 1.0 && wanted < static_cast<double>(count),
         "--validation: {} of {} images of {} leave a part empty", wanted, count, name);
  const auto order = split_order(count, seed);
  const auto border = order.end() - static_cast<std::ptrdiff_t>(wanted);
  ValidationSplit split{{order.begin(), border}, {border, order.end()}};
  std::sort(split.train.begin(), split.train.end());
  std::sort(split.validation.begin(), split.validation.end());
  return split;
}

}  // namespace pal
