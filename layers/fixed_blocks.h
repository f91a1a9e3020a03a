#pragma once
#include "autograd/invertible.h"
#include "kernels/resample/dct.h"

namespace pal {

/// Haar downsampling (layers/models/README.md, 4), without parameters.
class HaarBlock : public InvertibleBlock {
 public:
  explicit HaarBlock(double rebalance = 0.5) : rebalance_(rebalance) {}
  std::string kind() const override { return "Haar"; }
  Shape output_shape(const Shape& input) const override;
  Tensor forward(const Tensor& x, const Tensor& log_det, Phase phase, BlockMemory* memory) override;
  Tensor inverse(const Tensor& y, const Tensor& log_det) override;
  BlockBackward backward(Tensor&& y, Tensor&& grad_y, const Tensor& grad_log_det,
                         BlockMemory& memory, bool want_grad_x) override;

 private:
  double rebalance_;
};

/// Checkerboard squeeze [n, h, w, c] -> [n, h/2, w/2, 4c] alone, without parameters: a fixed
/// downsampling for configurations that want no learned one.
class SqueezeBlock : public InvertibleBlock {
 public:
  std::string kind() const override { return "squeeze"; }
  Shape output_shape(const Shape& input) const override;
  Tensor forward(const Tensor& x, const Tensor& log_det, Phase phase, BlockMemory* memory) override;
  Tensor inverse(const Tensor& y, const Tensor& log_det) override;
  BlockBackward backward(Tensor&& y, Tensor&& grad_y, const Tensor& grad_log_det,
                         BlockMemory& memory, bool want_grad_x) override;
};

/// DCT pooling of N x N maps to vectors (layers/models/README.md, 4).
class DctBlock : public InvertibleBlock {
 public:
  /// `reported`: add the log-determinant that the published implementation reports instead of the
  /// true one.
  DctBlock(int64_t size, int64_t channels, const DctMap& map, bool reported)
      : size_(size), channels_(channels), map_(map), reported_(reported) {}
  std::string kind() const override { return "DCT pooling"; }
  Shape output_shape(const Shape& input) const override;
  Tensor forward(const Tensor& x, const Tensor& log_det, Phase phase, BlockMemory* memory) override;
  Tensor inverse(const Tensor& y, const Tensor& log_det) override;
  BlockBackward backward(Tensor&& y, Tensor&& grad_y, const Tensor& grad_log_det,
                         BlockMemory& memory, bool want_grad_x) override;

 private:
  /// What every sample's log-determinant gets, in nats.
  double log_det() const;

  int64_t size_;
  int64_t channels_;
  DctMap map_;
  bool reported_;
};

}  // namespace pal
