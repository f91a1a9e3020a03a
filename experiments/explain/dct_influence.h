#pragma once
#include <cstdint>
#include <vector>

#include "experiments/explain/doubles.h"
#include "layers/mixture_head.h"

namespace pal {

/// What the components of the DCT pooling contribute to telling classes apart
/// (experiments/measures/README.md, 14). In double; low-rank means are never spelled out.
class DctInfluence {
 public:
  explicit DctInfluence(const MixtureHead& head);

  /// N: frequencies in a row.
  int64_t side() const { return side_; }
  /// The mean over channels of the standard deviation over classes of the means' entries for one
  /// frequency.
  double of(int64_t vertical, int64_t horizontal) const {
    return influence_[static_cast<size_t>(horizontal * side_ + vertical)];
  }
  /// Of latent vectors z [n, D]: how many have the nearest mean that is their label's, where the
  /// means keep their entries for the most influential frequencies, so many as each of `kept` says
  /// (ascending, from 1 on), and are their mean over classes for the others.
  std::vector<int64_t> count_right(const Tensor& z, const std::vector<int32_t>& labels,
                                   const std::vector<int64_t>& kept) const;

 private:
  /// Whether the means' entries for a frequency are combinations of prototypes.
  bool combined(int64_t frequency) const { return !alpha_.empty() && frequency > 0; }
  void add_frequency(std::vector<double> rows);

  int64_t classes_, channels_, side_, rank_;
  std::vector<double> alpha_;  // [classes, rank]
  // By frequency, in the order of z:
  std::vector<std::vector<double>> rows_;        // entries of means [classes, C], or of prototypes
                                                 // [rank, C]
  std::vector<std::vector<double>> half_norms_;  // [classes]: ||mu_y||^2 / 2 of these entries
  std::vector<double> influence_;
};

}  // namespace pal
