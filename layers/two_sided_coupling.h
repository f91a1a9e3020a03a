#pragma once
#include "layers/coupling_block.h"

namespace pal {

/// Affine coupling of both halves, one after the other, with gains 0.2 and 1.
/// - Glow (layers/models/README.md, 2): x1 are the first floor(C/2) channels;
///   subnets `s1` (x1 -> factors of x2) and `s2` (y2 -> factors of x1).
/// - Downsampling (section 3): x1 are the first C - floor(C/2) channels; both halves are squeezed
///   to half resolution; subnets `s_hi` (strided, x1 -> factors of squeezed x2) and
///   `s_lo` (y2 -> factors of squeezed x1).
class TwoSidedCoupling : public CouplingBlock {
 public:
  /// What makes the specifications of the two subnets, for a number of output channels.
  struct Subnets {
    std::function<SubnetSpec(int64_t out)> first;   ///< `s1` or `s_hi`
    std::function<SubnetSpec(int64_t out)> second;  ///< `s2` or `s_lo`
  };
  /// Throws usage for less than 2 channels, and for welling in a downsampling block.
  TwoSidedCoupling(int64_t channels, bool downsample, const CouplingSpec& spec,
                   const Subnets& subnets);
  std::string kind() const override {
    return downsample_ ? "downsampling coupling" : "glow coupling";
  }
  Shape output_shape(const Shape& input) const override;

 protected:
  Tensor couple(const Tensor& x, const OutputMap& map, const Tensor& log_det, Phase phase,
                BlockMemory* memory) override;
  Tensor uncouple(const Tensor& y, const OutputMap& map, const Tensor& log_det) override;
  BlockBackward couple_backward(Tensor&& y, Tensor&& grad_y, const Tensor& grad_log_det,
                                const OutputMap& map, BlockMemory& memory, bool want_grad_x,
                                const CouplingGrads& act_norm) override;

 private:
  /// A half at the output's resolution: squeezed if this block downsamples.
  Tensor lower(const Tensor& half) const;
  /// Writes the half back at the input's resolution.
  void raise(const Tensor& lowered, const Tensor& half) const;

  bool downsample_;
  int64_t first_;   // channels of x1
  int64_t second_;  // channels of x2
};

}  // namespace pal
