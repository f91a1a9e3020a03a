#include "experiments/comparison/attack_orderings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "experiments/comparison/attack_record.h"

namespace pal {
namespace {

using Verdict = Ordering::Verdict;

constexpr const char* kTables = "Tables 7 to 9";
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kPositive = std::numeric_limits<double>::min();
/// The attack that most claims are about.
constexpr double kKappa = 0.01;

// What the paper says in words, in numbers: choices of this project.
constexpr double kTwiceFrom = 1.4, kTwiceTo = 2.8;    // "about twice"
constexpr double kFarLarger = 3.0;                    // times
constexpr double kWellDetected = 0.8;                 // AUC
constexpr double kNearlyAll = 0.95;                   // AUC or confidence
constexpr double kUnsureFrom = 0.5, kUnsureTo = 0.8;  // confidence; the paper's is 60 to 70 %
constexpr double kMostReached = 0.9;                  // of the images, for a mean over these
constexpr double kTwoStages = 0.8;                    // of the images

constexpr NumberFormat kL2{1.0, 3, ""};
constexpr NumberFormat kShare{100.0, 1, " %"};

/// The attacked runs of a sweep.
using Records = std::map<const RunRecord*, AttackRecord>;

Records records_of(const Sweep& sweep) {
  Records records;
  for (const BetaGroup& group : sweep.all())
    for (const RunRecord* const run : group.runs)
      if (auto record = attack_record(*run)) records.emplace(run, std::move(*record));
  return records;
}

/// The orderings of one protocol.
class ProtocolJudge {
 public:
  ProtocolJudge(const Sweep& sweep, const Records& records, CwProtocol protocol)
      : sweep_(sweep),
        records_(records),
        protocol_(protocol),
        classifiers_(sweep.flows_from(kPositive, kInf)) {
    for (const auto& [run, record] : records)
      for (const AttackRow& row : record.model.rows)
        if (row.setting.kind == AttackKind::cw && row.setting.protocol == protocol)
          weights_.insert(row.setting.d);
  }

  std::vector<Ordering> all() {
    sizes();
    detections();
    confidences();
    return list_;
  }

 private:
  std::string setting_text(double kappa, bool plain = true) const {
    return fmt::format("cw, {}, kappa {}{}",
                       protocol_ == CwProtocol::paper ? "the paper's protocol" : "converged",
                       setting_number(kappa), plain ? ", d 0" : "");
  }

  /// What is read of the attack with these numbers.
  template <typename Read>
  Measure measure(double kappa, double d, const Read& read) const {
    return [=, this](const RunRecord& run) -> std::optional<RunNumber> {
      const auto record = records_.find(&run);
      if (record == records_.end()) return std::nullopt;
      const AttackRow* const row = record->second.targeted_cw(protocol_, kappa, d);
      return row != nullptr ? read(*row) : std::nullopt;
    };
  }

  /// The mean L2 norm over images that are taken for their target, if these are nearly all: the
  /// others are those that would need more.
  Measure size_at(double kappa, double d) const {
    return measure(kappa, d, [](const AttackRow& row) -> std::optional<RunNumber> {
      if (row.success.value < kMostReached) return std::nullopt;
      return RunNumber{row.l2_reached.value, row.l2_reached.error};
    });
  }
  Measure detection_at(double kappa, double d) const {
    return measure(kappa, d, [](const AttackRow& row) -> std::optional<RunNumber> {
      if (!row.auc_two_tailed) return std::nullopt;
      return RunNumber{row.auc_two_tailed->value, row.auc_two_tailed->error};
    });
  }
  /// With the largest error that a mean of numbers between 0 and 1 can have.
  Measure confidence_at(double kappa) const {
    return measure(kappa, 0.0, [](const AttackRow& row) -> std::optional<RunNumber> {
      const double mean = row.confidence;
      return RunNumber{
          mean, std::sqrt(std::max(0.0, mean * (1.0 - mean)) / static_cast<double>(row.images))};
    });
  }

  /// Where images are not taken for their targets: of which networks, and how many are.
  std::string reach_text(const std::vector<BetaGroup>& groups, double kappa) const {
    std::vector<std::string> parts;
    for (const BetaGroup& group : groups)
      for (const RunRecord* const run : group.runs) {
        const auto record = records_.find(run);
        if (record == records_.end()) continue;
        const AttackRow* const row = record->second.targeted_cw(protocol_, kappa, 0.0);
        if (row == nullptr || row->reached == row->images) continue;
        parts.push_back(fmt::format("{} of {} images of {}{}", row->reached, row->images,
                                    group.name(),
                                    row->success.value < kMostReached ? ", too few" : ""));
      }
    if (parts.empty()) return {};
    return fmt::format("; taken for their target: {}", fmt::join(parts, ", "));
  }

  void sizes() {
    const Measure size = size_at(kKappa, 0.0);
    const std::string attack = setting_text(kKappa);
    list_.push_back(course(
        kTables, fmt::format("size: the L2 norm of attacks falls with beta (above 0; {})", attack),
        points_of(classifiers_, size), Direction::falls, Steps::ends, kL2));
    list_.back().measured += reach_text(classifiers_, kKappa);
    twice_the_feed_forward_net(size, attack);
    mostly("size: the L2 norm mostly grows with d", classifiers_, Direction::rises, kL2,
           [this](double d) { return size_at(kKappa, d); });
    far_larger();
  }

  void twice_the_feed_forward_net(const Measure& size, const std::string& attack) {
    Ordering ordering{kTables,
                      fmt::format("size: at beta 1 about twice the feed-forward net's (ratio of L2 "
                                  "norms between {} and {}; {})",
                                  kTwiceFrom, kTwiceTo, attack),
                      {}};
    std::vector<BetaGroup> shown = sweep_.flows_from(1.0, 1.0);
    const auto flow = shown.empty() ? std::nullopt : shown[0].mean(size);
    const auto net = sweep_.feed_forward ? sweep_.feed_forward->mean(size) : std::nullopt;
    if (sweep_.feed_forward) shown.push_back(*sweep_.feed_forward);
    ordering.measured = text_of(points_of(shown, size), kL2) + reach_text(shown, kKappa);
    if (flow && net && net->mean > 0.0) {
      GroupMean ratio{.mean = flow->mean / net->mean, .error = {}, .runs = flow->runs};
      if (flow->error && net->error)
        ratio.error = std::hypot(*flow->error, ratio.mean * *net->error) / net->mean;
      ordering.measured =
          fmt::format("ratio {}; {}", text_of(ratio, {1.0, 2, ""}), ordering.measured);
      ordering.verdict = all_of({is_positive(ratio.mean - kTwiceFrom, ratio.error),
                                 is_positive(kTwiceTo - ratio.mean, ratio.error)});
    }
    list_.push_back(std::move(ordering));
  }

  /// From the least weight d to the largest, at more than half of the betas.
  template <typename At>
  void mostly(const std::string& what, const std::vector<BetaGroup>& groups, Direction direction,
              const NumberFormat& format, const At& at) {
    Ordering ordering{
        kTables,
        fmt::format("{} (at more than half of the betas; {})", what, setting_text(kKappa, false)),
        {}};
    if (weights_.size() > 1) {
      const double least = *weights_.begin(), most = *weights_.rbegin();
      int64_t asked = 0, as_said = 0, against = 0;
      std::vector<std::string> parts;
      for (const BetaGroup& group : groups) {
        const auto low = group.mean(at(least)), high = group.mean(at(most));
        if (!low || !high) continue;
        const Verdict verdict =
            direction == Direction::rises ? is_above(*high, *low) : is_above(*low, *high);
        ++asked;
        as_said += verdict == Verdict::holds ? 1 : 0;
        against += verdict == Verdict::does_not_hold ? 1 : 0;
        parts.push_back(fmt::format("{}: {} to {}", group.name(), text_of(*low, format),
                                    text_of(*high, format)));
      }
      if (asked > 0) {
        ordering.measured = fmt::format("from d {} to {}: {}", setting_number(least),
                                        setting_number(most), fmt::join(parts, ", "));
        ordering.verdict = 2 * as_said > asked    ? Verdict::holds
                           : 2 * against >= asked ? Verdict::does_not_hold
                                                  : Verdict::undecided;
      }
    }
    list_.push_back(std::move(ordering));
  }

  void far_larger() {
    const Measure endless = size_at(kInf, 0.0), small = size_at(kKappa, 0.0);
    Ordering ordering{
        kTables,
        fmt::format("size: far larger for kappa inf: at least {:g} times that of kappa {} at "
                    "every beta ({})",
                    kFarLarger, kKappa, setting_text(kInf)),
        text_of(points_of(classifiers_, endless), kL2) + reach_text(classifiers_, kInf)};
    std::vector<Verdict> verdicts;
    for (const BetaGroup& group : classifiers_) {
      const auto high = group.mean(endless), low = group.mean(small);
      if (high && low) verdicts.push_back(is_above(*high, *low, kFarLarger));
    }
    ordering.verdict = all_of(verdicts);
    list_.push_back(std::move(ordering));
  }

  void detections() {
    list_.push_back(beyond_threshold(
        kTables,
        fmt::format("detection: the two-tailed AUC is above {:.0f} % at beta <= 1 ({})",
                    100.0 * kWellDetected, setting_text(kKappa)),
        points_of(sweep_.flows_from(0.0, 1.0), detection_at(kKappa, 0.0)), Direction::rises,
        kWellDetected, kShare));
    mostly("detection: the two-tailed AUC mostly falls with d", sweep_.flows, Direction::falls,
           kShare, [this](double d) { return detection_at(kKappa, d); });
    list_.push_back(beyond_threshold(
        kTables,
        fmt::format("detection: near 100 % for kappa inf: two-tailed AUC above {:.0f} % at every "
                    "beta ({})",
                    100.0 * kNearlyAll, setting_text(kInf)),
        points_of(sweep_.flows, detection_at(kInf, 0.0)), Direction::rises, kNearlyAll, kShare));
  }

  void confidences() {
    const Measure confidence = confidence_at(kKappa);
    list_.push_back(beyond_threshold(
        kTables,
        fmt::format("confidence: near 100 % at beta 1: above {:.0f} % ({})", 100.0 * kNearlyAll,
                    setting_text(kKappa)),
        points_of(sweep_.flows_from(1.0, 1.0), confidence), Direction::rises, kNearlyAll, kShare));
    std::vector<BetaGroup> unsure;
    if (!classifiers_.empty()) unsure.push_back(classifiers_.back());
    if (sweep_.feed_forward) unsure.push_back(*sweep_.feed_forward);
    const Points points = points_of(unsure, confidence);
    Ordering ordering = beyond_threshold(
        kTables,
        fmt::format("confidence: 60 to 70 % at the highest beta and of the feed-forward net: "
                    "between {:.0f} and {:.0f} % ({})",
                    100.0 * kUnsureFrom, 100.0 * kUnsureTo, setting_text(kKappa)),
        points, Direction::rises, kUnsureFrom, kShare);
    ordering.verdict =
        all_of({ordering.verdict,
                beyond_threshold({}, {}, points, Direction::falls, kUnsureTo, kShare).verdict});
    list_.push_back(std::move(ordering));
  }

  const Sweep& sweep_;
  const Records& records_;
  const CwProtocol protocol_;
  std::vector<BetaGroup> classifiers_;
  std::set<double> weights_;  // d
  std::vector<Ordering> list_;
};

}  // namespace

std::vector<Ordering> attack_orderings(const Sweep& sweep) {
  const Records records = records_of(sweep);
  std::vector<Ordering> list;
  for (const CwProtocol protocol : {CwProtocol::converged, CwProtocol::paper}) {
    const bool measured = std::ranges::any_of(records, [&](const auto& record) {
      return std::ranges::any_of(record.second.model.rows, [&](const AttackRow& row) {
        return row.setting.kind == AttackKind::cw && row.setting.protocol == protocol;
      });
    });
    if (!measured) continue;
    for (Ordering& ordering : ProtocolJudge(sweep, records, protocol).all())
      list.push_back(std::move(ordering));
  }
  if (list.empty())
    list.push_back({kTables, "size, detection and confidence of attacks over beta", {}});
  return list;
}

Ordering path_ordering(const Sweep& sweep) {
  Ordering ordering{"Figs. 6, 19",
                    fmt::format("attacks first cross the boundary, then come nearer to the image "
                                "along the margin ({:.0f} % of the images of every network)",
                                100.0 * kTwoStages),
                    {}};
  std::vector<std::string> parts;
  std::vector<Verdict> verdicts;
  const Records records = records_of(sweep);
  for (const BetaGroup& group : sweep.all())
    for (const RunRecord* const run : group.runs) {
      const auto record = records.find(run);
      if (record == records.end() || !record->second.names_classes()) continue;
      const auto& paths = record->second.paths;
      if (!paths || paths->images == 0) continue;
      const bool most = static_cast<double>(paths->crossed_then_shrank) >=
                        kTwoStages * static_cast<double>(paths->images);
      verdicts.push_back(most ? Verdict::holds : Verdict::does_not_hold);
      parts.push_back(fmt::format("{}: {} of {} images", group.name(), paths->crossed_then_shrank,
                                  paths->images));
    }
  ordering.measured = fmt::format("{}", fmt::join(parts, ", "));
  ordering.verdict = all_of(verdicts);
  return ordering;
}

}  // namespace pal
