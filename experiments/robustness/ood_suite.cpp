#include "experiments/robustness/ood_suite.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "experiments/command_line/toml_file.h"
#include "runtime/error.h"
#include "runtime/paths.h"
#include "runtime/text.h"

namespace pal {
namespace {

/// The set that a name means: a path beside the suite, or the name itself.
std::string beside(const std::string& path, const std::string& name) {
  const auto near = std::filesystem::path(path).parent_path() / name;
  return path_exists(near) ? near.string() : name;
}

}  // namespace

std::vector<std::string> suite_groups() { return {"near", "far", "covariate-shifted"}; }

std::vector<SuiteSet> read_suite(const std::string& path) {
  const toml::table file = read_toml(path, "--suite: ");
  std::map<std::string, std::vector<SuiteSet>> by_group;
  for (const auto& [key, node] : file) {
    const std::string group(key.str());
    const std::string where =
        fmt::format("--suite: {}:{}: {}", path, key.source().begin.line, one_line(group));
    const auto known = suite_groups();
    const std::string nearest = nearest_name(group, known);
    expect(std::ranges::find(known, group) != known.end(), "{}: unknown section; {}", where,
           nearest.empty() ? fmt::format("expected {}", fmt::join(known, ", "))
                           : fmt::format("did you mean [{}]?", nearest));
    const toml::table* const section = node.as_table();
    const toml::array* const sets = section == nullptr ? nullptr : (*section)["sets"].as_array();
    expect(sets != nullptr && section->size() == 1 && !sets->empty(),
           "{}: expected a section that holds sets = [\"SET\", ...] alone", where);
    for (const auto& entry : *sets) {
      expect(entry.is_string() && !entry.as_string()->get().empty(),
             "{}: sets: expected texts in quotes", where);
      by_group[group].push_back({beside(path, entry.as_string()->get()), group});
    }
  }
  std::vector<SuiteSet> all;
  for (const std::string& group : suite_groups())
    all.insert(all.end(), by_group[group].begin(), by_group[group].end());
  expect(!all.empty(), "--suite: {}: no sets; expected sections {}", path,
         fmt::join(suite_groups(), ", "));
  return all;
}

}  // namespace pal
