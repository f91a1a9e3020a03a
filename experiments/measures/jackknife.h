#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

// How far a statistic would vary with other images: computed again without each of some groups of
// them in turn (delete-a-group jackknife: Kott 2001). Deterministic, and right for what no formula
// tells, as long as the statistic is smooth.
namespace pal {

inline constexpr int64_t kJackknifeGroups = 20;

/// The standard error from the statistic without each group.
inline double jackknife_error(const std::vector<double>& values) {
  const auto groups = static_cast<double>(values.size());
  double mean = 0.0;
  for (const double v : values) mean += v / groups;
  double sum = 0.0;
  for (const double v : values) sum += (v - mean) * (v - mean);
  return std::sqrt((groups - 1.0) / groups * sum);
}

/// The standard error of statistic(images); image i is of group i mod 20. 0 for fewer images than
/// groups.
template <typename Image, typename Statistic>
double jackknife_error(const std::vector<Image>& images, const Statistic& statistic) {
  const auto count = static_cast<int64_t>(images.size());
  if (count < kJackknifeGroups) return 0.0;
  std::vector<double> values;
  for (int64_t group = 0; group < kJackknifeGroups; ++group) {
    std::vector<Image> others;
    others.reserve(images.size());
    for (int64_t i = 0; i < count; ++i)
      if (i % kJackknifeGroups != group) others.push_back(images[static_cast<size_t>(i)]);
    values.push_back(statistic(others));
  }
  return jackknife_error(values);
}

}  // namespace pal
