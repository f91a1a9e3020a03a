#include "experiments/comparison/orderings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include "experiments/comparison/attack_orderings.h"
#include "experiments/comparison/robustness_record.h"
#include "experiments/comparison/run_figures.h"
#include "experiments/comparison/run_measures.h"
#include "experiments/report/evaluation_report.h"
#include "experiments/report/text_table.h"

namespace pal {
namespace {

using Verdict = Ordering::Verdict;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Above zero: classes have a meaning for a model of such a beta.
constexpr double kAnyClasses = std::numeric_limits<double>::min();
/// Below infinity: the loss had a share of the density.
constexpr double kAnyDensity = std::numeric_limits<double>::max();

// What the paper says in words, in numbers: choices of this project.
constexpr double kRankCorrelation = 0.9;
constexpr double kFlat = 1.5;            // largest over smallest
constexpr double kAucClose = 0.1;        // between two tests
constexpr double kOddAcross = 0.9;       // odd over even components
constexpr double kPlaneKeeps = 0.9;      // of the accuracy
constexpr double kContrastAuc = 0.8;     // "well detected"
constexpr double kWellDetectedTo = 2.0;  // up to this beta

constexpr NumberFormat kPercent{100.0, 2, " %"};
constexpr NumberFormat kAuc{100.0, 1, " %"};

/// The orderings of one sweep.
class Judge {
 public:
  explicit Judge(const Sweep& sweep)
      : sweep_(sweep),
        classifiers_(sweep.flows_from(kAnyClasses, kInfinity)),
        densities_(sweep.flows_from(0.0, kAnyDensity)) {}

  std::vector<Ordering> all() {
    table2();
    table6();
    table3();
    outliers();
    for (Ordering& ordering : attack_orderings(sweep_)) list_.push_back(std::move(ordering));
    figure12();
    figure13();
    figures15_16();
    list_.push_back(path_ordering(sweep_));
    return list_;
  }

 private:
  /// The feed-forward net above all flows that classify.
  void feed_forward_above(const char* product, const std::string& expected, const Measure& measure,
                          const NumberFormat& format) {
    std::vector<BetaGroup> shown = classifiers_;
    std::optional<GroupMean> own;
    if (sweep_.feed_forward) {
      shown.push_back(*sweep_.feed_forward);
      own = sweep_.feed_forward->mean(measure);
    }
    list_.push_back(beyond_all(product, expected, own, points_of(classifiers_, measure),
                               Direction::rises, points_of(shown, measure), format));
  }

  void table2() {
    const Measure bits = number_at("/bits_per_dim", "/bits_per_dim_standard_error"),
                  ce = number_at("/ce", "/nll/standard_error");
    list_.push_back(course("Table 2", "accuracy rises with beta (above 0)",
                           points_of(classifiers_, accuracy_of), Direction::rises, Steps::ends,
                           kPercent));
    feed_forward_above("Table 2", "the feed-forward net has the best accuracy", accuracy_of,
                       kPercent);
    const NumberFormat digits{1.0, 3, ""};
    list_.push_back(course("Table 2", "bits/dim worsens strictly with beta",
                           points_of(sweep_.flows, bits), Direction::rises, Steps::each, digits));
    std::optional<GroupMean> alone;
    std::vector<BetaGroup> others;
    for (const BetaGroup& group : sweep_.flows) {
      if (group.beta == 0.0)
        alone = group.mean(bits);
      else
        others.push_back(group);
    }
    list_.push_back(beyond_all("Table 2", "beta 0 has the best bits/dim", alone,
                               points_of(others, bits), Direction::falls,
                               points_of(sweep_.flows, bits), digits));
    list_.push_back(course("Table 2", "CE falls with beta (above 0)", points_of(classifiers_, ce),
                           Direction::falls, Steps::ends, digits));
    rank_course("accuracy", classifiers_, accuracy_of, Direction::rises);
    rank_course("bits/dim", sweep_.flows, bits, Direction::rises);
    rank_course("CE", classifiers_, ce, Direction::falls);
  }

  void rank_course(const std::string& what, const std::vector<BetaGroup>& groups,
                   const Measure& measure, Direction direction) {
    list_.push_back(
        rank_correlation("Table 2",
                         fmt::format("rank correlation of {} with beta {} {}", what,
                                     direction == Direction::rises ? "at least" : "at most",
                                     static_cast<double>(direction) * kRankCorrelation),
                         groups, measure, direction, kRankCorrelation));
  }

  void table6() {
    std::vector<const RunRecord*> runs;
    for (const BetaGroup& group : sweep_.all())
      runs.insert(runs.end(), group.runs.begin(), group.runs.end());
    const double threshold = common_oce_threshold(runs);
    const Measure oce = overconfidence_at(threshold);
    const NumberFormat digits{1.0, 2, ""};
    const std::string name =
        fmt::format("overconfidence (OCE at {}{})", threshold,
                    threshold == kOceThreshold ? "" : ", as too few images reach 0.997");
    list_.push_back(course("Table 6", name + " grows with beta", points_of(classifiers_, oce),
                           Direction::rises, Steps::ends, digits));
    feed_forward_above("Table 6", name + " is largest for the feed-forward net", oce, digits);
    flat_ece();
  }

  void flat_ece() {
    std::vector<BetaGroup> groups = classifiers_;
    if (sweep_.feed_forward) groups.push_back(*sweep_.feed_forward);
    const Points points = points_of(groups, number_at("/ece"));
    Ordering ordering{"Table 6",
                      fmt::format("ECE (over all classes, one against the others) is flat: the "
                                  "largest at most {} times the smallest",
                                  kFlat),
                      text_of(points, kPercent)};
    if (points.list.size() > 1) {
      const auto by_mean = [](const Points::Point& a, const Points::Point& b) {
        return a.mean.mean < b.mean.mean;
      };
      const auto [least, most] = std::ranges::minmax_element(points.list, by_mean);
      const Verdict above = is_above(most->mean, least->mean, kFlat);
      ordering.verdict = above == Verdict::holds           ? Verdict::does_not_hold
                         : above == Verdict::does_not_hold ? Verdict::holds
                                                           : Verdict::undecided;
    }
    list_.push_back(std::move(ordering));
  }

  void table3() {
    list_.push_back(beyond_threshold(
        "Table 3",
        fmt::format("low contrast is told with an AUC above 80 % at beta <= {:g} (images of 0.3 of "
                    "their contrast, quantile test)",
                    kWellDetectedTo),
        points_of(sweep_.flows_from(0.0, kWellDetectedTo), auc_of("low-contrast", kQuantile)),
        Direction::rises, kContrastAuc, kAuc));
    list_.push_back(course("Table 3", "mean AUC of 15 corruptions falls with beta",
                           points_of(sweep_.flows, corruption_auc), Direction::falls, Steps::ends,
                           kAuc));
    list_.push_back(course("Table 3", "mean corruption error (mCE) falls with beta (above 0)",
                           points_of(classifiers_, corruption_mce), Direction::falls, Steps::ends,
                           kAuc));
  }

  void outliers() {
    const Measure one = auc_of("digits", kOneTailed), typical = auc_of("digits", kTypicality),
                  quantile = auc_of("digits", kQuantile);
    list_.push_back(beyond_threshold(
        "OoD sets", "digits get a high likelihood: one-tailed AUC below 50 % (finite beta)",
        points_of(densities_, one), Direction::falls, 0.5, kAuc));
    list_.push_back(beyond_threshold(
        "OoD sets", "digits: the quantile test's AUC is higher than the one-tailed one (by)",
        points_of(densities_, difference(quantile, one)), Direction::rises, 0.0, kAuc));
    list_.push_back(beyond_threshold(
        "OoD sets", "digits: the typicality test's AUC is higher than the one-tailed one (by)",
        points_of(densities_, difference(typical, one)), Direction::rises, 0.0, kAuc));
    const Measure apart = difference(quantile, typical);
    const Points points = points_of(densities_, apart);
    Ordering close = beyond_threshold(
        "OoD sets",
        fmt::format("digits: quantile and typicality test within {:g} % of each other (difference)",
                    100.0 * kAucClose),
        points, Direction::falls, kAucClose, kAuc);
    close.verdict =
        all_of({close.verdict,
                beyond_threshold({}, {}, points, Direction::rises, -kAucClose, kAuc).verdict});
    list_.push_back(std::move(close));
    list_.push_back(beyond_threshold(
        "OoD sets, ours",
        "familiarity tells the sets better than the quantile test (mean gain in AUC)",
        points_of(densities_, familiarity_gain), Direction::rises, 0.0, kAuc));
  }

  void figure12() {
    const NumberFormat digits{1.0, 3, ""};
    list_.push_back(beyond_threshold(
        "Fig. 12", "component (0, 0) is the largest (ratio to the next)",
        points_of(classifiers_, of_dct(&DctNumbers::first)), Direction::rises, 1.0, digits));
    const Measure across = of_dct(&DctNumbers::across), upwards = of_dct(&DctNumbers::upwards);
    const Points ratios = points_of(classifiers_, across);
    Ordering odd = beyond_threshold(
        "Fig. 12",
        fmt::format("odd horizontal components are below {} of even ones, and below the vertical "
                    "ratio",
                    kOddAcross),
        ratios, Direction::falls, kOddAcross, digits);
    const Points lower = points_of(classifiers_, difference(upwards, across));
    odd.verdict = all_of(
        {odd.verdict, beyond_threshold({}, {}, lower, Direction::rises, 0.0, digits).verdict});
    if (!lower.list.empty())
      odd.measured += "; vertical less horizontal ratio: " + text_of(lower, digits);
    list_.push_back(std::move(odd));
  }

  void figure13() {
    const NumberFormat pixels{1.0, 2, " px"};
    const Points widths = points_of(sweep_.flows, field_width);
    Ordering grows = course("Fig. 13", "the receptive field's FWHM grows with beta", widths,
                            Direction::rises, Steps::ends, pixels);
    std::vector<std::string> beyond;
    for (const BetaGroup& group : sweep_.flows)
      if (std::ranges::any_of(group.runs, [](const RunRecord* run) {
            const auto numbers = field_numbers(*run);
            return numbers && !numbers->bounded;
          }))
        beyond.push_back(group.name());
    if (!beyond.empty())
      grows.measured +=
          fmt::format("; wider than the image, counted as its side: {}", fmt::join(beyond, ", "));
    if (sweep_.feed_forward) {
      if (const auto own = sweep_.feed_forward->mean(field_width))
        grows.measured +=
            fmt::format("; {}: {}", sweep_.feed_forward->name(), text_of(*own, pixels));
    }
    list_.push_back(std::move(grows));
    const Points strides = points_of(sweep_.flows, width_in_strides);
    Ordering about{"Fig. 13",
                   "the smallest FWHM is 1 to 2 strides of the final map (the paper's: 2)",
                   text_of(strides, {1.0, 2, ""})};
    if (!strides.list.empty()) {
      const Points::Point& least = *std::ranges::min_element(
          strides.list, {}, [](const Points::Point& point) { return point.mean.mean; });
      about.verdict = all_of({is_positive(least.mean.mean - 1.0, least.mean.error),
                              is_positive(2.0 - least.mean.mean, least.mean.error)});
    }
    list_.push_back(std::move(about));
  }

  void figures15_16() {
    list_.push_back(beyond_threshold(
        "Fig. 15",
        fmt::format(
            "classes in a plane keep {:.0f} % of the network's own accuracy (share that they keep)",
            100.0 * kPlaneKeeps),
        points_of(classifiers_, plane_share), Direction::rises, kPlaneKeeps, kAuc));
    list_.push_back(beyond_threshold(
        "Fig. 16",
        "alike classes are near: shirt, T-shirt, pullover, coat and dress among each other against "
        "shoes and bags (ratio of mean distances below 1)",
        points_of(classifiers_, clothes_ratio), Direction::falls, 1.0, {1.0, 3, ""}));
  }

  const Sweep& sweep_;
  std::vector<BetaGroup> classifiers_, densities_;
  std::vector<Ordering> list_;
};

}  // namespace

std::vector<Ordering> orderings(const Sweep& sweep) { return Judge(sweep).all(); }

std::vector<Ordering> orderings(const std::vector<RunRecord>& runs) {
  return orderings(sweep_of(runs));
}

int64_t count_of(const std::vector<Ordering>& list, Ordering::Verdict verdict) {
  return std::ranges::count(list, verdict, &Ordering::verdict);
}

std::string to_text(const std::vector<Ordering>& list) {
  std::string text = fmt::format(
      "{} of {} orderings do not hold, {} hold, {} are undecided, {} not measured\n",
      count_of(list, Verdict::does_not_hold), list.size(), count_of(list, Verdict::holds),
      count_of(list, Verdict::undecided), count_of(list, Verdict::not_measured));
  for (const Verdict verdict :
       {Verdict::does_not_hold, Verdict::undecided, Verdict::holds, Verdict::not_measured})
    for (const Ordering& ordering : list) {
      if (ordering.verdict != verdict) continue;
      fmt::format_to(std::back_inserter(text), "\n{}: {}: {}\n", name_of(verdict), ordering.product,
                     ordering.expected);
      if (!ordering.measured.empty())
        fmt::format_to(std::back_inserter(text), "  {}\n", ordering.measured);
    }
  text.pop_back();
  return text;
}

std::string to_csv(const std::vector<Ordering>& list) {
  std::string csv = "product,expected,measured,verdict\n";
  for (const Ordering& ordering : list)
    fmt::format_to(std::back_inserter(csv), "{},{},{},{}\n", csv_field(ordering.product),
                   csv_field(ordering.expected), csv_field(ordering.measured),
                   name_of(ordering.verdict));
  return csv;
}

}  // namespace pal
