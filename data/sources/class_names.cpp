#include "data/sources/class_names.h"

#include <algorithm>
#include <filesystem>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "data/sources/class_list.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/paths.h"
#include "runtime/text.h"

namespace pal {
namespace {

constexpr int64_t kMostNameBytes = 16 << 20;

struct ClassList {
  std::vector<ClassEntry> entries;
  bool json = false;
};

ClassList read_list(const std::string& path) {
  const auto bytes = read_file(path, kMostNameBytes);
  const auto first = std::ranges::find_if(bytes, [](uint8_t byte) {
    return byte != ' ' && byte != '\t' && byte != '\r' && byte != '\n';
  });
  const bool json = first != bytes.end() && (*first == '{' || *first == '[');
  const std::string name = one_line(path);
  ClassList list{json ? parse_class_json(bytes, name) : parse_class_lines(bytes, name), json};
  if (list.entries.empty()) fail(ErrorKind::data, "{}:0: no class names", name);
  return list;
}

/// Names that several classes share get a mark of their own in brackets.
void tell_apart(std::vector<std::string>& names, const std::vector<std::string>& marks) {
  std::unordered_map<std::string, int> uses;
  for (const std::string& name : names) ++uses[name];
  for (size_t i = 0; i < names.size(); ++i) {
    if (uses[names[i]] < 2) continue;
    const std::string mark = " (" + marks[i] + ")";
    // Another class may be called so.
    do names[i] += mark;
    while (uses.contains(names[i]));
    uses.emplace(names[i], 1);
  }
}

std::vector<std::string> names_in_order(const ClassList& list) {
  std::vector<std::string> names;
  std::vector<std::string> marks;
  for (const ClassEntry& entry : list.entries) {
    names.push_back(entry.name);
    marks.push_back(list.json && !entry.id.empty() ? entry.id : std::to_string(marks.size()));
  }
  tell_apart(names, marks);
  return names;
}

std::unordered_set<std::string> whole_names(const ClassList& list) {
  std::unordered_set<std::string> names;
  for (const ClassEntry& entry : list.entries) names.insert(entry.name);
  return names;
}

/// What a class folder of some name is called.
struct NamedKey {
  std::string name;
  int uses = 0;  ///< entries that have this key
};

/// The names of the entries by their ids, or by themselves where they have none. They are told
/// apart over the whole list, so that a class is called the same whichever others are there.
std::unordered_map<std::string, NamedKey> keyed_names(const ClassList& list) {
  std::vector<std::string> names;
  std::vector<std::string> ids;
  for (const ClassEntry& entry : list.entries) {
    names.push_back(entry.id.empty() ? entry.name : entry.rest);
    ids.push_back(entry.id.empty() ? entry.name : entry.id);
  }
  tell_apart(names, ids);
  std::unordered_map<std::string, NamedKey> keys;
  for (size_t i = 0; i < ids.size(); ++i) {
    NamedKey& key = keys[ids[i]];
    key.name = names[i];
    ++key.uses;
  }
  // A folder may have the whole line's name.
  for (const ClassEntry& entry : list.entries) keys.emplace(entry.name, NamedKey{entry.name, 1});
  return keys;
}

}  // namespace

std::vector<std::string> read_class_names(const std::string& path) {
  return names_in_order(read_list(path));
}

std::vector<std::string> class_names_for(const std::vector<std::string>& folder_names,
                                         const std::string& path) {
  const ClassList list = read_list(path);
  const auto whole = whole_names(list);
  // A list of the folders themselves, perhaps in another order.
  if (std::ranges::all_of(folder_names, [&](const auto& name) { return whole.contains(name); }))
    return folder_names;
  const std::unordered_map<std::string, NamedKey> keys = keyed_names(list);
  const auto missing = std::ranges::find_if(
      folder_names, [&](const std::string& folder) { return !keys.contains(folder); });
  if (missing == folder_names.end()) {
    std::vector<std::string> names;
    names.reserve(folder_names.size());
    for (const std::string& folder : folder_names) {
      const NamedKey& key = keys.at(folder);
      if (key.uses > 1)
        fail(ErrorKind::data, "{}:0: {} stands for {} classes, but is one class folder",
             one_line(path), one_line(folder), key.uses);
      names.push_back(key.name);
    }
    tell_apart(names, folder_names);
    return names;
  }
  const std::unordered_set<std::string> folders(folder_names.begin(), folder_names.end());
  expect(std::ranges::any_of(list.entries,
                             [&](const ClassEntry& entry) { return !folders.contains(entry.id); }),
         "{}: {} lines for {} class folders; none begins with {}", one_line(path),
         list.entries.size(), folder_names.size(), one_line(*missing));
  expect(list.entries.size() == folder_names.size(), "{}: {} class names for {} class folders",
         one_line(path), list.entries.size(), folder_names.size());
  return names_in_order(list);
}

std::vector<std::string> listed_names(const std::string& list, const std::string& option) {
  std::vector<std::string> names;
  for (size_t first = 0; !list.empty() && first <= list.size();) {
    const size_t comma = std::min(list.find(',', first), list.size());
    std::string name = as_utf8(trimmed(std::string_view(list).substr(first, comma - first)));
    expect(std::ranges::find(names, name) == names.end(), "{}: {} is named twice", option,
           one_line(name));
    names.push_back(std::move(name));
    expect(!names.back().empty(), "{}: expected names with commas between, got '{}'", option,
           one_line(list));
    first = comma + 1;
  }
  return names;
}

std::string some_names(const std::vector<std::string>& names) {
  constexpr size_t kMost = 5;
  std::string text;
  for (size_t i = 0; i < std::min(kMost, names.size()); ++i)
    text += (i == 0 ? "" : ", ") + one_line(names[i]);
  if (names.size() > kMost) text += fmt::format(" and {} more", names.size() - kMost);
  return text;
}

std::string class_name_lists(const std::string& one, const std::vector<std::string>& names,
                             const std::string& other,
                             const std::vector<std::string>& other_names) {
  return fmt::format("{}: {}; {}: {}", one, some_names(names), other, some_names(other_names));
}

std::vector<std::string> class_names_in(const std::string& folder) {
  const std::filesystem::path path = std::filesystem::path(folder) / kClassFile;
  if (!path_exists(path)) return {};
  return read_class_names(path.string());
}

}  // namespace pal
