#pragma once
#include "autograd/invertible.h"
#include "layers/act_norm.h"

namespace pal {

/// Act norm as a block of its own over the latent vector [n, D]: one scale and offset per latent
/// dimension. Pooling leaves low frequencies with far more variance than high ones, which couplings
/// learn to undo only slowly; this does it in one layer. Not part of the published networks.
class ActNormBlock : public InvertibleBlock {
 public:
  ActNormBlock(int64_t channels, const ActNormSpec& spec)
      : channels_(channels), act_norm_(channels, spec) {}
  std::string kind() const override { return "act norm"; }
  Shape output_shape(const Shape& input) const override;
  void collect(const std::string& prefix, StateList& state) override;
  Tensor forward(const Tensor& x, const Tensor& log_det, Phase phase, BlockMemory* memory) override;
  Tensor inverse(const Tensor& y, const Tensor& log_det) override;
  BlockBackward backward(Tensor&& y, Tensor&& grad_y, const Tensor& grad_log_det,
                         BlockMemory& memory, bool want_grad_x) override;

  /// Sets scale and offset so that the output for x [n, D] has mean 0 and variance 1 in every
  /// dimension; scales are at most `most`. Returns the output.
  Tensor fit(const Tensor& x, double most);
  ActNorm& act_norm() { return act_norm_; }

 private:
  int64_t channels_;
  ActNorm act_norm_;
};

}  // namespace pal
