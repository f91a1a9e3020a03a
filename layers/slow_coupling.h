#pragma once
#include "layers/coupling_block.h"

namespace pal {

/// Affine coupling of one half (layers/models/README.md, 1): x2 changes, conditioned on x1, the
/// first C - floor(C/2) channels; gains 0.1 and 0.1. Subnet `s`.
class SlowCoupling : public CouplingBlock {
 public:
  /// `subnet` makes the specification of the subnet for a number of output channels. Throws usage
  /// for less than 2 channels.
  SlowCoupling(int64_t channels, const CouplingSpec& spec,
               const std::function<SubnetSpec(int64_t out)>& subnet);
  std::string kind() const override { return "slow coupling"; }
  Shape output_shape(const Shape& input) const override;

 protected:
  Tensor couple(const Tensor& x, const OutputMap& map, const Tensor& log_det, Phase phase,
                BlockMemory* memory) override;
  Tensor uncouple(const Tensor& y, const OutputMap& map, const Tensor& log_det) override;
  BlockBackward couple_backward(Tensor&& y, Tensor&& grad_y, const Tensor& grad_log_det,
                                const OutputMap& map, BlockMemory& memory, bool want_grad_x,
                                const CouplingGrads& act_norm) override;

 private:
  int64_t passive_;  // channels of x1
  int64_t active_;
};

}  // namespace pal
