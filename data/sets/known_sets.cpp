#include "data/sets/known_sets.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "data/sets/digits.h"
#include "data/sets/idx_set.h"
#include "data/sets/synthetic.h"
#include "data/sources/places.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr const char* kFashionFolder = "/usr/share/datasets/fashion-mnist";

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
    return is_idx_folder(candidate);
  });
  if (place == places.end())
    fail(ErrorKind::data,
         "fashion-mnist: no train-images-idx3-ubyte[.gz] in {}; install the Debian package "
         "dataset-fashion-mnist, or name the folder that holds its four files",
         fmt::join(places, ", "));
  ImageSet set = load_idx_folder(*place, split, 10);
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
  ImageSet set = load_idx_folder(folder, split);
  set.name = std::filesystem::path(folder).lexically_normal().string();
  return set;
}

}  // namespace

bool is_of_fixed_size(const std::string& name) {
  return name == "fashion-mnist" || name == "digits" || name.starts_with("synthetic:");
}

ImageSet load_dataset(const std::string& name, Split split, const std::string& folder) {
  if (name == "fashion-mnist") return load_fashion(split, folder);
  if (name == "digits") return load_digits(split, folder);
  if (name.rfind("synthetic:", 0) == 0) return load_synthetic(name, split);
  return load_folder(name, split);
}

}  // namespace pal
