#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "experiments/comparison/beta_groups.h"

// What the figures of pal-explain say in numbers, read back from the CSV files that it leaves in a
// run's folder. All are none where there is no such file, and throw data naming a file that is
// broken.
namespace pal {

/// Of dct.csv (experiments/measures/README.md, 14).
struct DctNumbers {
  int64_t side = 0;      ///< positions of the final map in a row
  double first = 0.0;    ///< influence of component (0, 0) over that of the largest other one
  double across = 0.0;   ///< mean influence of odd horizontal components over that of even ones
  double upwards = 0.0;  ///< the same of vertical ones
};
std::optional<DctNumbers> dct_numbers(const RunRecord& run);

/// Of receptive-field.csv (section 15).
struct FieldNumbers {
  int64_t side = 0;    ///< pixels of an image in a row
  double width = 0.0;  ///< full width at half maximum in pixels; at least the side if not bounded
  bool bounded = true;
};
std::optional<FieldNumbers> field_numbers(const RunRecord& run);

/// The share of test images in the right cell of plane.csv, with its binomial standard error.
std::optional<RunNumber> plane_accuracy(const RunRecord& run);

/// The mean distance between class means of similarity.csv within a list of classes, over that
/// between them and those of another list. Names are compared without case, and T-shirt/top is
/// T-shirt. None if a class is missing.
std::optional<double> distance_ratio(const RunRecord& run, const std::vector<std::string>& alike,
                                     const std::vector<std::string>& others);

}  // namespace pal
