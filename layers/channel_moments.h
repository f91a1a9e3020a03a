#pragma once
#include <cstdint>
#include <vector>

#include "runtime/tensor.h"

namespace pal {

/// Mean and variance of each channel over the rows of tensors that come one after another.
class ChannelMoments {
 public:
  /// Takes in all rows of x [.., channels], f32 or f64, which may be a channel slice; waits for the
  /// device. Of one tensor, mean and variance are what batch_statistics makes of it, bit for bit.
  /// Throws usage for another number of channels than before.
  void add(const Tensor& x);

  /// [channels]; empty before the first tensor.
  const std::vector<double>& mean() const { return mean_; }
  /// [channels], biased.
  const std::vector<double>& variance() const { return variance_; }

 private:
  double rows_ = 0.0;
  std::vector<double> mean_;
  std::vector<double> variance_;
};

/// The channels of images [n, h, w, c], f32, that have one and the same value in every pixel of
/// every image, rising; waits for the device. A density cannot be learned along them: whatever the
/// scale, a larger one is likelier (layers/models/README.md, 1). Images with dequantisation noise
/// have none.
std::vector<int64_t> constant_channels(const Tensor& images);

}  // namespace pal
