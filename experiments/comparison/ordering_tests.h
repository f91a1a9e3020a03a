#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "experiments/comparison/beta_groups.h"

// Tests of what a number does over beta, from means and standard errors of groups.
namespace pal {

/// Something that the paper shows, and what is found here.
struct Ordering {
  /// A difference counts if it exceeds two of its standard errors.
  enum class Verdict : uint8_t {
    holds,
    does_not_hold,
    undecided,     ///< no difference counts, or there is no standard error to tell
    not_measured,  ///< numbers are missing
  };
  std::string product;   ///< its table or figure
  std::string expected;  ///< what it shows
  std::string measured;  ///< the numbers by beta, with standard errors, and what of them fails
  Verdict verdict = Verdict::not_measured;
};

/// "holds", "does not hold", "undecided" or "not measured".
const char* name_of(Ordering::Verdict verdict);

/// Groups that have a number, and the names of those that do not.
struct Points {
  struct Point {
    std::string name;
    GroupMean mean;
  };
  std::vector<Point> list;
  std::vector<std::string> missing;
};
Points points_of(const std::vector<BetaGroup>& groups, const Measure& measure);

/// How numbers are printed.
struct NumberFormat {
  double factor = 1.0;
  int digits = 2;
  const char* unit = "";
};
/// "87.06 +- 0.12 %"; without an error where none is known.
std::string text_of(const GroupMean& mean, const NumberFormat& format);
/// All numbers by name, whether there is one seed alone, and what is missing.
std::string text_of(const Points& points, const NumberFormat& format);

/// Whether a number with a standard error is above 0 (holds) or below it (does not hold); undecided
/// without an error, and for 0 in any case.
Ordering::Verdict is_positive(double value, const std::optional<double>& error);
/// The same of high - factor low, of independent means.
Ordering::Verdict is_above(const GroupMean& high, const GroupMean& low, double factor = 1.0);
/// Of conditions that must all hold: one that does not decides, then one that is not measured, then
/// one that is undecided; no conditions are not measured.
Ordering::Verdict all_of(const std::vector<Ordering::Verdict>& verdicts);

enum class Direction : int8_t { falls = -1, rises = 1 };
enum class Steps : uint8_t {
  ends,  ///< from the first to the last
  each,  ///< from each to the next: strictly
};
/// Whether a number rises or falls in the order of the points. Whatever the steps, no pair may count
/// against it, neighbours or not; not measured with fewer than two points.
Ordering course(std::string product, std::string expected, const Points& points,
                Direction direction, Steps steps, const NumberFormat& format);

/// Whether one mean is above (below) those of all others; `shown` are printed.
Ordering beyond_all(std::string product, std::string expected, const std::optional<GroupMean>& one,
                    const Points& others, Direction direction, const Points& shown,
                    const NumberFormat& format);

/// Whether all means are above (below) a threshold.
Ordering beyond_threshold(std::string product, std::string expected, const Points& points,
                          Direction direction, double threshold, const NumberFormat& format);

/// Spearman's correlation of a number with the order of the groups, for each seed of which all
/// groups have it: at least `threshold`, or at most -threshold where it should fall. Not measured
/// with fewer than three groups.
Ordering rank_correlation(std::string product, std::string expected,
                          const std::vector<BetaGroup>& groups, const Measure& measure,
                          Direction direction, double threshold);

}  // namespace pal
