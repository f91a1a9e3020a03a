#pragma once
#include <vector>

namespace pal {

/// A density on the line, smoothed from a sample by Gaussian kernels of Silverman's width
/// (Silverman 1986, Eq. 3.31): 0.9 min(deviation, quartile range / 1.34) n^(-1/5). Of a large sample
/// 1,000 evenly spread quantiles carry the kernels.
class KernelDensity {
 public:
  /// Throws usage for no values, numerics for one that is not finite.
  explicit KernelDensity(std::vector<double> sample);

  double width() const { return width_; }
  /// Logarithm of the density, finite everywhere: far away it falls like the nearest kernel.
  double log_density(double x) const;

 private:
  std::vector<double> centres_;
  double width_ = 1.0;
};

}  // namespace pal
