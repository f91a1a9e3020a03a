#include "data/sets/unknown_set.h"

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "runtime/error.h"
#include "runtime/text.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

/// What `load_dataset` and pal-data know by name.
const std::vector<std::string> kKnown = {"fashion-mnist", "digits", "stamps", "clipart",
                                         "synthetic:CLASSES"};

/// Well-known sets that have to be brought, without case and separators.
constexpr const char* kIdxSets[] = {"mnist", "kmnist", "emnist", "qmnist"};
constexpr const char* kFolderSets[] = {
    "cifar",   "cifar10",    "cifar100",     "imagenet",        "imagenet1k", "imagenet21k",
    "ilsvrc",  "ilsvrc2012", "tinyimagenet", "tinyimagenet200", "imagenette", "imagewoof",
    "svhn",    "stl10",      "celeba",       "caltech101",      "caltech256", "food101",
    "flowers", "flowers102", "pets",         "oxfordpets",      "places365",  "eurosat"};

std::string plain_name(const std::string& name) {
  std::string plain = lower_case(name);
  std::erase_if(plain, [](char c) { return c == '-' || c == '_' || c == ' '; });
  return plain;
}

/// How to bring a set of this name; empty if it is none that is known.
std::string how_to_bring(const std::string& name) {
  const std::string plain = plain_name(name);
  if (std::ranges::find(kIdxSets, plain) != std::end(kIdxSets))
    return "not among the sets that come by name; name a folder with its four IDX files "
           "(train-images-idx3-ubyte[.gz] and so on)";
  if (std::ranges::find(kFolderSets, plain) != std::end(kFolderSets))
    return "not among the sets that come by name; name a folder with its pictures as "
           "train/CLASS/PICTURE and val/CLASS/PICTURE";
  return {};
}

/// The folder beside a path that is meant by it; empty if none is near enough.
std::string nearest_folder(const fs::path& path) {
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::vector<std::string> names;
  std::error_code error, ignored;
  for (fs::directory_iterator at(parent, error), end; !error && at != end; at.increment(error))
    if (at->is_directory(ignored)) names.push_back(at->path().filename().string());
  std::ranges::sort(names);
  const std::string nearest = nearest_name(path.filename().string(), names);
  return nearest.empty() ? "" : (path.parent_path() / nearest).string();
}

std::string without_last_slash(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

}  // namespace

void refuse_unknown_set(const std::string& place) {
  const std::string name = one_line(place);
  std::error_code ignored;
  if (fs::exists(place, ignored))
    fail(ErrorKind::data, "{}: a file; expected a folder, or tar shards (....tar)", name);
  const fs::path path = without_last_slash(place);
  if (const std::string how = how_to_bring(path.filename().string()); !how.empty())
    fail(ErrorKind::data, "{}: {}", name, how);
  std::string meant = nearest_folder(path);
  if (meant.empty() && !path.has_parent_path()) meant = nearest_name(place, kKnown);
  fail(ErrorKind::data,
       "{}: neither a data set (fashion-mnist, digits, stamps, clipart, synthetic:CLASSES), a "
       "pattern of tar shards nor a folder{}",
       name, meant.empty() ? "" : "; did you mean " + one_line(meant) + "?");
}

}  // namespace pal
