#include "experiments/comparison/ordering_tests.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "experiments/explain/faithfulness.h"

namespace pal {
namespace {

using Verdict = Ordering::Verdict;

/// Standard errors that a difference must exceed.
constexpr double kErrors = 2.0;

GroupMean times(GroupMean mean, double factor) {
  mean.mean *= factor;
  if (mean.error) *mean.error *= std::abs(factor);
  return mean;
}

/// The first few of some pairs, and how many more there are.
std::string pairs_text(std::vector<std::string> pairs) {
  constexpr size_t kShown = 3;
  const size_t more = pairs.size() > kShown + 1 ? pairs.size() - kShown : 0;
  if (more > 0) pairs.resize(kShown);
  return fmt::format("{}{}", fmt::join(pairs, "; "),
                     more > 0 ? fmt::format(" and {} more pairs", more) : "");
}

}  // namespace

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::holds:
      return "holds";
    case Verdict::does_not_hold:
      return "does not hold";
    case Verdict::undecided:
      return "undecided";
    case Verdict::not_measured:
      break;
  }
  return "not measured";
}

Points points_of(const std::vector<BetaGroup>& groups, const Measure& measure) {
  Points points;
  for (const BetaGroup& group : groups) {
    if (const auto mean = group.mean(measure))
      points.list.push_back({group.name(), *mean});
    else
      points.missing.push_back(group.name());
  }
  return points;
}

std::string text_of(const GroupMean& mean, const NumberFormat& format) {
  std::string text = fmt::format("{:.{}f}", format.factor * mean.mean, format.digits);
  if (mean.error)
    text += fmt::format(" +- {:.{}f}", std::abs(format.factor) * *mean.error, format.digits);
  return text + format.unit;
}

std::string text_of(const Points& points, const NumberFormat& format) {
  std::vector<std::string> parts;
  std::vector<int64_t> seeds;
  int64_t single = 0, own = 0;
  for (const Points::Point& point : points.list) {
    parts.push_back(fmt::format("{}: {}", point.name, text_of(point.mean, format)));
    seeds.push_back(point.mean.runs);
    if (point.mean.runs > 1) continue;
    ++single;
    own += point.mean.error ? 1 : 0;
  }
  std::string text = fmt::format("{}", fmt::join(parts, ", "));
  if (!seeds.empty()) {
    const auto [least, most] = std::ranges::minmax(seeds);
    text += most == 1       ? std::string("; one seed")
            : least == most ? fmt::format("; {} seeds", most)
                            : fmt::format("; {} to {} seeds", least, most);
  }
  if (single > 0)
    text += own == single ? " (errors within the run)"
            : own == 0    ? " (no standard error)"
                          : " (errors within the run, or none)";
  if (!points.missing.empty() && !points.list.empty())
    text += fmt::format("; not measured: {}", fmt::join(points.missing, ", "));
  return text;
}

Ordering::Verdict is_positive(double value, const std::optional<double>& error) {
  if (!error) return Verdict::undecided;
  if (value > kErrors * *error) return Verdict::holds;
  return value < -kErrors * *error ? Verdict::does_not_hold : Verdict::undecided;
}

Ordering::Verdict is_above(const GroupMean& high, const GroupMean& low, double factor) {
  std::optional<double> error;
  if (high.error && low.error) error = std::hypot(*high.error, factor * *low.error);
  return is_positive(high.mean - factor * low.mean, error);
}

Ordering::Verdict all_of(const std::vector<Verdict>& verdicts) {
  if (verdicts.empty()) return Verdict::not_measured;
  for (const Verdict worst : {Verdict::does_not_hold, Verdict::not_measured, Verdict::undecided})
    if (std::ranges::find(verdicts, worst) != verdicts.end()) return worst;
  return Verdict::holds;
}

Ordering course(std::string product, std::string expected, const Points& points,
                Direction direction, Steps steps, const NumberFormat& format) {
  Ordering ordering{std::move(product), std::move(expected), text_of(points, format)};
  const auto& list = points.list;
  if (list.size() < 2) return ordering;
  const double sign = static_cast<double>(direction);
  const auto rises = [&](size_t i, size_t j) {
    return is_above(times(list[j].mean, sign), times(list[i].mean, sign));
  };
  std::vector<std::string> against, unclear;
  std::vector<Verdict> needed;
  for (size_t i = 0; i < list.size(); ++i)
    for (size_t j = i + 1; j < list.size(); ++j) {
      const Verdict verdict = rises(i, j);
      const std::string pair = fmt::format("{} and {}", list[i].name, list[j].name);
      if (verdict == Verdict::does_not_hold) against.push_back(pair);
      if (verdict == Verdict::undecided && j == i + 1) unclear.push_back(pair);
      if (steps == Steps::each ? j == i + 1 : i == 0 && j + 1 == list.size())
        needed.push_back(verdict);
    }
  ordering.verdict = against.empty() ? all_of(needed) : Verdict::does_not_hold;
  if (!against.empty()) ordering.measured += "; reversed: " + pairs_text(against);
  if (!unclear.empty()) ordering.measured += "; unclear: " + pairs_text(unclear);
  return ordering;
}

Ordering beyond_all(std::string product, std::string expected, const std::optional<GroupMean>& one,
                    const Points& others, Direction direction, const Points& shown,
                    const NumberFormat& format) {
  Ordering ordering{std::move(product), std::move(expected), text_of(shown, format)};
  if (!one || others.list.empty()) return ordering;
  const double sign = static_cast<double>(direction);
  std::vector<Verdict> verdicts;
  for (const Points::Point& other : others.list)
    verdicts.push_back(is_above(times(*one, sign), times(other.mean, sign)));
  ordering.verdict = all_of(verdicts);
  return ordering;
}

Ordering beyond_threshold(std::string product, std::string expected, const Points& points,
                          Direction direction, double threshold, const NumberFormat& format) {
  Ordering ordering{std::move(product), std::move(expected), text_of(points, format)};
  std::vector<Verdict> verdicts;
  for (const Points::Point& point : points.list)
    verdicts.push_back(is_positive(static_cast<double>(direction) * (point.mean.mean - threshold),
                                   point.mean.error));
  ordering.verdict = all_of(verdicts);
  return ordering;
}

Ordering rank_correlation(std::string product, std::string expected,
                          const std::vector<BetaGroup>& groups, const Measure& measure,
                          Direction direction, double threshold) {
  Ordering ordering{std::move(product), std::move(expected), {}};
  if (groups.size() < 3) return ordering;
  std::vector<RunNumber> readings;
  for (const RunRecord* const run : groups[0].runs) {
    std::vector<double> order, values;
    for (const BetaGroup& group : groups) {
      const auto same = std::ranges::find(group.runs, run->seed, &RunRecord::seed);
      const auto reading = same == group.runs.end() ? std::nullopt : measure(**same);
      if (!reading || !std::isfinite(reading->value)) break;
      order.push_back(static_cast<double>(order.size()));
      values.push_back(reading->value);
    }
    if (values.size() == groups.size()) readings.push_back({spearman(order, values), std::nullopt});
  }
  const auto mean = mean_of_readings(readings);
  if (!mean) return ordering;
  ordering.measured =
      fmt::format("{} over {} betas; {}", text_of(*mean, {1.0, 3, ""}), groups.size(),
                  mean->runs == 1 ? std::string("one seed") : fmt::format("{} seeds", mean->runs));
  // Equal to the threshold is enough; correlations are sums of few fractions.
  constexpr double kRounding = 1e-9;
  ordering.verdict =
      is_positive(static_cast<double>(direction) * mean->mean - threshold + kRounding, mean->error);
  return ordering;
}

}  // namespace pal
