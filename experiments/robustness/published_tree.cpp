#include "experiments/robustness/published_tree.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "runtime/error.h"
#include "runtime/paths.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> folders_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : folder_entries(folder))
    if (entry.is_directory(ignored)) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

/// The first few names of a list.
std::string few(std::vector<std::string> names) {
  constexpr size_t kShown = 8;
  if (names.empty()) return "no folders";
  const bool more = names.size() > kShown;
  if (more) names.resize(kShown);
  return fmt::format("{}{}", fmt::join(names, ", "), more ? ", ..." : "");
}

}  // namespace

std::string tree_folder(const std::string& tree, Corruption corruption, int severity) {
  std::vector<fs::path> found;
  std::vector<fs::path> places = {tree};
  for (const std::string& name : folders_in(tree)) places.push_back(fs::path(tree) / name);
  for (const fs::path& place : places)
    for (const std::string name : {name_of(corruption), published_name(corruption)})
      if (const fs::path folder = place / name;
          path_is_folder(folder) && std::ranges::find(found, folder) == found.end())
        found.push_back(folder);
  if (found.empty())
    fail(ErrorKind::data, "--tree: {}: no folder {} there or in a group; it has {}", tree,
         published_name(corruption), few(folders_in(tree)));
  if (found.size() > 1)
    fail(ErrorKind::data, "--tree: {} and {}: the same corruption twice", found[0].string(),
         found[1].string());
  const fs::path folder = found[0] / std::to_string(severity);
  if (!path_is_folder(folder))
    fail(ErrorKind::data, "--tree: {}: no severity {}; it has {}", found[0].string(), severity,
         few(folders_in(found[0])));
  return folder.string();
}

std::vector<std::string> tree_folders(const std::string& tree,
                                      const std::vector<Corruption>& corruptions,
                                      const std::vector<int>& severities) {
  std::vector<std::string> folders;
  for (const Corruption corruption : corruptions)
    for (const int severity : severities)
      folders.push_back(tree_folder(tree, corruption, severity));
  return folders;
}

}  // namespace pal
