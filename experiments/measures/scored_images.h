#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace pal {

/// The class scores l_y of images (q(y|x) = softmax_y l_y) and their labels: what calibration is
/// measured and fitted on.
struct ScoredImages {
  int64_t classes = 0;
  std::vector<double> scores;   ///< [n, classes]
  std::vector<int32_t> labels;  ///< [n]

  int64_t count() const { return static_cast<int64_t>(labels.size()); }
  std::span<const double> row(int64_t i) const {
    return std::span(scores).subspan(static_cast<size_t>(i * classes),
                                     static_cast<size_t>(classes));
  }
  void add(std::span<const double> image, int32_t label) {
    scores.insert(scores.end(), image.begin(), image.end());
    labels.push_back(label);
  }
};

/// The class posteriors of all images at a temperature T, softmax(l / T), as [n, classes].
std::vector<double> posteriors(const ScoredImages& images, double temperature = 1.0);

}  // namespace pal
