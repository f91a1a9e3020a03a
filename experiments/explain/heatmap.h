#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pal {

/// How the log-evidence S of an image, which belongs to no class, is shared among positions
/// (experiments/measures/README.md, 13).
enum class Share : uint8_t {
  contrast,      ///< in proportion to r + 0.03, r the saliency scaled to [0, 1]: the paper's
  proportional,  ///< in proportion to the saliency: no constant
  even,          ///< the same everywhere
};

/// What every position of one image says about its classes, in nats. P positions, row by row.
class PositionMaps {
 public:
  /// Of g [classes, P] (PositionHead::log_densities of one image), under uniform class priors.
  PositionMaps(std::span<const double> g, int64_t classes, Share share);

  int64_t positions() const { return static_cast<int64_t>(saliency_.size()); }
  int64_t classes() const { return static_cast<int64_t>(log_posterior_.size()); }
  /// ln q(y|x), from the sums over positions.
  const std::vector<double>& log_posterior() const { return log_posterior_; }
  /// Classes, the likeliest first.
  const std::vector<int32_t>& order() const { return order_; }
  /// -ln sum_y q(w_p|y) p(y): how unlikely a position is whatever the class.
  const std::vector<double>& saliency() const { return saliency_; }
  /// Q_p(y): the posterior map of a class. It sums over positions to ln q(y|x).
  std::vector<double> posterior(int32_t y) const;
  /// E_p = g_p(a) - g_p(b): the evidence for class a against b. It sums over positions to the
  /// log-odds ln q(a|x) / q(b|x), with no constant to choose.
  std::vector<double> evidence(int32_t a, int32_t b) const;

 private:
  std::vector<double> g_;
  std::vector<double> log_posterior_;
  std::vector<int32_t> order_;
  std::vector<double> saliency_;
  std::vector<double> shared_;  // S_p
};

}  // namespace pal
