#pragma once
#include <cstdint>
#include <vector>

#include "experiments/explain/doubles.h"

namespace pal {

/// The latent mixture seen position by position: undoing the DCT pooling is a rotation, so the
/// squared distance of z to a class mean is a sum over the N x N positions of the final feature map
/// (experiments/measures/README.md, 13). Everything in double: at 224 x 224 a position's part is
/// about -1500, where float32 steps by 1e-4.
class PositionHead {
 public:
  /// Copies the means of D = N N C latent dimensions, laid out as z[(kw N + kh) C + c]. Throws usage
  /// if D is no such product of `channels` = C.
  PositionHead(const MixtureMeans& means, int64_t dims, int64_t channels);

  int64_t classes() const { return means_.classes; }
  /// N: positions in a row.
  int64_t side() const { return side_; }

  /// -||w(y)_p||^2 / 2 for the rotated z - mu_y at every position: f64 [n, classes, N, N] (rows,
  /// columns), of z [n, D] in f32 or f64 on any device. Its sum over positions is -||z - mu_y||^2 / 2.
  Tensor log_densities(const Tensor& z) const;

 private:
  /// What row `row` and column `column` take of frequency (kw, kh).
  double weight(int64_t row, int64_t column, int64_t kw, int64_t kh) const;
  /// One position of latent rows [count, D - first C]: adds up their frequencies from `first` on.
  void rotate(const double* rows, int64_t count, int64_t first, int64_t position,
              std::vector<double>& out) const;
  void prepare_constants();
  /// Writes a position of the rotated latent vectors of images, [count, C], against all classes to
  /// its place in [count, classes, N, N].
  void place(const double* own, int64_t count, int64_t position, double* values) const;

  DoubleMeans means_;
  int64_t dims_, channels_, side_;
  std::vector<double> basis_;      // [N, N]: sample, frequency
  std::vector<double> constants_;  // [N N, classes]: ||T mu_y||^2 at a position, low rank only
};

}  // namespace pal
