#include "experiments/measures/scored_images.h"

#include "experiments/measures/metrics.h"

namespace pal {

std::vector<double> posteriors(const ScoredImages& images, double temperature) {
  std::vector<double> q(images.scores.size());
  std::vector<double> scaled(static_cast<size_t>(images.classes));
  for (int64_t i = 0; i < images.count(); ++i) {
    const auto row = images.row(i);
    for (size_t y = 0; y < row.size(); ++y) scaled[y] = row[y] / temperature;
    judge_scores(scaled, images.labels[static_cast<size_t>(i)], 0.0,
                 std::span(q).subspan(static_cast<size_t>(i * images.classes), scaled.size()));
  }
  return q;
}

}  // namespace pal
