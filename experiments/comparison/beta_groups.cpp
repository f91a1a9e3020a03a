#include "experiments/comparison/beta_groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

namespace pal {
namespace {

/// Why a run cannot be compared with others; empty if it can.
std::string reason_to_leave(const RunRecord& run) {
  if (!run.complete()) return "has not taken all its steps";
  if (run.flow && !run.beta) return "its beta is not recorded";
  if (run.number("/images") && !run.evaluated())
    return "its evaluated images may have chosen the checkpoint";
  return {};
}

/// A run's place in its group's runs; those of one seed are the same.
bool has_seed(const BetaGroup& group, uint64_t seed) {
  return std::ranges::any_of(group.runs, [&](const RunRecord* run) { return run->seed == seed; });
}

/// What networks must share to be compared.
struct Setting {
  std::string dataset;
  double epochs = 0.0;
  bool operator==(const Setting&) const = default;
};

Setting setting_of(const RunRecord& run) { return {run.dataset, run.epochs}; }

/// The groups of all runs of one setting and architecture, by beta.
struct Family {
  Setting setting;
  std::string arch;
  bool flow = true;
  std::vector<BetaGroup> groups;

  size_t runs() const {
    size_t count = 0;
    for (const BetaGroup& group : groups) count += group.runs.size();
    return count;
  }
  BetaGroup& group_of(const RunRecord& run) {
    for (BetaGroup& group : groups)
      if (group.beta == run.beta) return group;
    groups.push_back({run.flow, run.arch, run.beta, {}});
    return groups.back();
  }
};

/// The largest family that a condition holds for; null if there is none.
template <typename Condition>
const Family* largest(const std::vector<Family>& families, const Condition& condition) {
  const Family* found = nullptr;
  for (const Family& family : families)
    if (condition(family) &&
        (found == nullptr || std::tuple(family.groups.size(), family.runs()) >
                                 std::tuple(found->groups.size(), found->runs())))
      found = &family;
  return found;
}

}  // namespace

std::optional<GroupMean> mean_of_readings(const std::vector<RunNumber>& readings) {
  if (readings.empty()) return std::nullopt;
  const auto n = static_cast<double>(readings.size());
  GroupMean group{.mean = 0.0, .error = {}, .runs = static_cast<int64_t>(readings.size())};
  for (const RunNumber& reading : readings) group.mean += reading.value / n;
  if (readings.size() == 1) {
    group.error = readings[0].error;
    return group;
  }
  double squares = 0.0;
  for (const RunNumber& reading : readings)
    squares += (reading.value - group.mean) * (reading.value - group.mean);
  group.error = std::sqrt(squares / (n - 1.0) / n);
  return group;
}

std::string BetaGroup::name() const {
  if (!flow) return arch;
  return beta ? fmt::format("beta {:g}", *beta) : "beta unknown";
}

std::optional<GroupMean> BetaGroup::mean(const Measure& measure) const {
  std::vector<RunNumber> readings;
  for (const RunRecord* const run : runs) {
    const auto reading = measure(*run);
    if (reading && std::isfinite(reading->value)) readings.push_back(*reading);
  }
  return mean_of_readings(readings);
}

std::optional<GroupMean> BetaGroup::mean(const std::string& pointer) const {
  return mean([&](const RunRecord& run) -> std::optional<RunNumber> {
    const auto number = run.number(pointer);
    if (!number) return std::nullopt;
    return RunNumber{*number, std::nullopt};
  });
}

std::vector<BetaGroup> Sweep::all() const {
  std::vector<BetaGroup> groups = flows;
  if (feed_forward) groups.push_back(*feed_forward);
  return groups;
}

std::vector<BetaGroup> Sweep::flows_from(double least, double most) const {
  std::vector<BetaGroup> groups;
  for (const BetaGroup& group : flows)
    if (group.beta >= least && group.beta <= most) groups.push_back(group);
  return groups;
}

Sweep sweep_of(const std::vector<RunRecord>& runs) {
  Sweep sweep;
  std::vector<Family> families;
  const auto leave_out = [&](const RunRecord& run, const std::string& reason) {
    sweep.left_out.push_back(fmt::format("{}: {}", run.name, reason));
  };
  for (const RunRecord& run : runs) {
    if (const std::string reason = reason_to_leave(run); !reason.empty()) {
      leave_out(run, reason);
      continue;
    }
    auto family = std::ranges::find_if(families, [&](const Family& f) {
      return f.setting == setting_of(run) && f.arch == run.arch && f.flow == run.flow;
    });
    if (family == families.end())
      family = families.insert(family, {setting_of(run), run.arch, run.flow, {}});
    BetaGroup& group = family->group_of(run);
    if (has_seed(group, run.seed))
      leave_out(run, fmt::format("another run of {} has seed {} too", group.name(), run.seed));
    else
      group.runs.push_back(&run);
  }
  const Family* const flows = largest(families, [](const Family& f) { return f.flow; });
  const Family* const feed_forward = largest(families, [&](const Family& f) {
    return !f.flow && (flows == nullptr || f.setting == flows->setting);
  });
  if (flows != nullptr) sweep.flows = flows->groups;
  if (feed_forward != nullptr) sweep.feed_forward = feed_forward->groups[0];
  for (const Family& family : families) {
    if (&family == flows || &family == feed_forward) continue;
    const Family* const chosen = family.flow ? flows : feed_forward;
    const bool other_setting = flows != nullptr && family.setting != flows->setting;
    for (const BetaGroup& group : family.groups)
      for (const RunRecord* const run : group.runs)
        leave_out(*run,
                  other_setting || chosen == nullptr
                      ? fmt::format("{} epochs of {}, where others have {} of {}", run->epochs,
                                    run->dataset, flows->setting.epochs, flows->setting.dataset)
                      : fmt::format("another network: {}, not {}", run->arch, chosen->arch));
  }
  const auto by_seed = [](const RunRecord* a, const RunRecord* b) { return a->seed < b->seed; };
  for (BetaGroup& group : sweep.flows) std::ranges::sort(group.runs, by_seed);
  if (sweep.feed_forward) std::ranges::sort(sweep.feed_forward->runs, by_seed);
  std::ranges::sort(sweep.flows,
                    [](const BetaGroup& a, const BetaGroup& b) { return *a.beta < *b.beta; });
  return sweep;
}

}  // namespace pal
