#pragma once
#include <cstdint>
#include <vector>

#include "layers/mixture_head.h"

namespace pal {

/// What the components of the DCT pooling contribute to telling classes apart
/// (experiments/measures/README.md, 14).
class DctInfluence {
 public:
  /// Copies the class means, spelled out, in double.
  explicit DctInfluence(const MixtureHead& head);

  /// N: frequencies in a row.
  int64_t side() const { return side_; }
  /// The mean over channels of the standard deviation over classes of the means' entries for one
  /// frequency.
  double of(int64_t vertical, int64_t horizontal) const {
    return influence_[static_cast<size_t>(horizontal * side_ + vertical)];
  }
  /// The share of latent vectors z [n, D] whose nearest mean is their label's, where the means keep
  /// their entries for the `kept` most influential frequencies and are their mean over classes for
  /// the others.
  double accuracy(const Tensor& z, const std::vector<int32_t>& labels, int64_t kept) const;

 private:
  int64_t classes_, channels_, side_;
  std::vector<double> means_;      // [classes, D]
  std::vector<double> influence_;  // [N N] in the order of z
};

}  // namespace pal
