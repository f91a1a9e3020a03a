#include "data/sources/folder_classes.h"

#include <filesystem>
#include <unordered_map>
#include <unordered_set>

#include "data/sources/class_names.h"
#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/text.h"

namespace pal {
namespace {

/// Which classes have a picture.
std::vector<bool> filled_classes(const FolderIndex& index) {
  std::vector<bool> filled(index.class_names.size());
  for (size_t i = 0; i < index.folders.size(); ++i) {
    const FolderIndex::Folder& folder = index.folders[i];
    if (end_of(index, i) > folder.first) filled[static_cast<size_t>(folder.label)] = true;
  }
  return filled;
}

/// What a part is called beside the others of its set: "val/".
std::string part_of(const std::string& path) {
  return one_line(std::filesystem::path(path).filename().string()) + "/";
}

}  // namespace

void expect_filled_classes(const FolderIndex& index, const std::string& name) {
  const auto& classes = index.class_names;
  expect(!classes.empty(), "{}: no class folders; expected FOLDER/CLASS/PICTURE", name);
  expect(classes.size() > 1, "{}: one class folder, {}; expected at least two", name,
         some_names(classes));
  const std::vector<bool> filled = filled_classes(index);
  std::vector<std::string> empty;
  for (size_t c = 0; c < classes.size(); ++c)
    if (!filled[c]) empty.push_back(classes[c]);
  expect(empty.empty(),
         "{}: no picture (.jpg, .jpeg, .png) in class folder {}; fill it or remove it", name,
         some_names(empty));
}

std::string first_other_class(const FolderIndex& index, const std::vector<std::string>& classes) {
  const std::unordered_set<std::string> known(classes.begin(), classes.end());
  const std::vector<bool> filled = filled_classes(index);
  for (size_t c = 0; c < filled.size(); ++c)
    if (filled[c] && !known.contains(index.class_names[c])) return index.class_names[c];
  return {};
}

void adopt_classes(FolderIndex& index, const std::string& name,
                   const std::vector<std::string>& classes, const std::string& whose) {
  expect(index.pictures.size() > 0, "{}: no pictures; expected FOLDER/CLASS/PICTURE", name);
  const std::string other = first_other_class(index, classes);
  expect(other.empty(),
         "{}: class '{}' is in {} but not in {}; expected no classes but those of {}", name,
         one_line(other), part_of(name), part_of(whose), one_line(whose));
  std::unordered_map<std::string, int32_t> labels;
  for (const std::string& class_name : classes)
    labels.emplace(class_name, static_cast<int32_t>(labels.size()));
  const std::vector<bool> filled = filled_classes(index);
  std::vector<bool> present(classes.size());
  for (FolderIndex::Folder& folder : index.folders) {
    if (folder.label < 0) continue;
    const auto own = static_cast<size_t>(folder.label);
    // A class folder without pictures may have any name and is given any label.
    folder.label = filled[own] ? labels.at(index.class_names[own]) : 0;
    if (filled[own]) present[static_cast<size_t>(folder.label)] = true;
  }
  std::vector<std::string> missing;
  for (size_t c = 0; c < classes.size(); ++c)
    if (!present[c]) missing.push_back(classes[c]);
  if (!missing.empty())
    log_warning("{}: no pictures of {} of the {} classes of {}: {}", name, missing.size(),
                classes.size(), one_line(whose), some_names(missing));
  index.class_names = classes;
}

}  // namespace pal
