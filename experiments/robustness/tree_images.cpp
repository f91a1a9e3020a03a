#include "experiments/robustness/tree_images.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "data/corruptions/corruption.h"
#include "data/pictures/image_file.h"
#include "data/sources/hasher.h"
#include "data/sources/picture_list.h"
#include "experiments/evaluation/evaluated_sets.h"
#include "runtime/error.h"
#include "runtime/file.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

std::map<std::string, int64_t> places_of(const Dataset& set) {
  std::map<std::string, int64_t> places;
  for (int64_t i = 0; i < set.info().count; ++i) places.emplace(image_key(set, i), i);
  return places;
}

}  // namespace

std::string image_key(const Dataset& set, int64_t index) {
  const std::string& name = set.info().class_names[static_cast<size_t>(set.label(index))];
  if (set.in_memory() != nullptr) return tree_path(name, index);
  const std::string below = path_in_set(set.info().name, set.item_name(index));
  return fs::path(tree_path(name, below)).replace_extension().string();
}

TreeImages::TreeImages(const Dataset& clean, const std::vector<int64_t>& among, const Dataset& tree,
                       int64_t most)
    : pictures_(tree.info().count) {
  const auto pictures = places_of(tree);
  std::vector<int64_t> there;
  size_t known = 0;
  for (int64_t i = 0; i < clean.info().count; ++i) known += pictures.contains(image_key(clean, i));
  if (known < pictures.size()) {
    const auto originals = places_of(clean);
    const auto foreign = std::ranges::find_if(
        pictures, [&](const auto& picture) { return !originals.contains(picture.first); });
    fail(ErrorKind::data,
         "--tree: {}: {}: no image of {} is called so; name the data that the tree was made of",
         tree.info().name, foreign->first, clean.info().name);
  }
  const auto consider = [&](int64_t i) {
    if (pictures.contains(image_key(clean, i))) there.push_back(i);
  };
  if (among.empty())
    for (int64_t i = 0; i < clean.info().count; ++i) consider(i);
  else
    for (const int64_t i : among) consider(i);
  if (there.empty())
    fail(ErrorKind::data, "--tree: {}: none of its pictures is of an image of {} that was held out",
         tree.info().name, clean.info().name);
  spread_indices(there, most, clean.info());
  indices_ = std::move(there);
  for (const int64_t i : indices_) keys_.push_back(image_key(clean, i));
}

std::vector<int64_t> TreeImages::pictures_of(const Dataset& tree) const {
  if (tree.info().count != pictures_)
    fail(ErrorKind::data, "--tree: {}: {} pictures, where other folders have {}", tree.info().name,
         tree.info().count, pictures_);
  const auto places = places_of(tree);
  std::vector<int64_t> indices;
  for (const std::string& key : keys_) {
    const auto found = places.find(key);
    if (found == places.end())
      fail(ErrorKind::data, "--tree: {}: no picture {}, which other folders have", tree.info().name,
           key);
    indices.push_back(found->second);
  }
  return indices;
}

std::string picture_fingerprint(const std::string& folder) {
  Hasher hasher;
  std::error_code ignored;
  for (const std::string& path : pictures_below(folder)) {
    hasher.add(path.substr(folder.size()));
    hasher.add(static_cast<int64_t>(fs::file_size(path, ignored)));
  }
  return fmt::format("{:016x}", hasher.value());
}

void expect_picture_sizes(const std::string& folder, int64_t side) {
  for (const std::string& path : pictures_below(folder)) {
    const ImageHeader header = read_image_header(read_file(path), path);
    if (header.width != side || header.height != side)
      fail(ErrorKind::data,
           "--tree: {}: {} x {}, but the network sees {} x {}: corrupted pictures are seen as they "
           "are; make the tree at that size (pal-corrupt --image-size)",
           path, header.width, header.height, side, side);
  }
}

}  // namespace pal
