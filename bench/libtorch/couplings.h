#pragma once
#include "bench/libtorch/block.h"
#include "bench/libtorch/coupling_parts.h"

namespace rival {

/// Act norm and mixing, which end every coupling block.
class CouplingEnd {
 public:
  CouplingEnd(Weights& weights, const std::string& prefix, const NetworkConfig& config,
              int64_t channels);
  /// Joins the halves, scales, shifts and mixes; adds the act norm's share of the log-determinant.
  BlockResult finish(const at::Tensor& first, const at::Tensor& second,
                     const at::Tensor& log_det) const;
  const Mixing& mixing() const { return mixing_; }

 private:
  ActNorm act_norm_;
  Mixing mixing_;
  bool untuned_;
};

/// Changes the second half of the channels, given the first (layers/models/README.md, 1).
class SlowCoupling : public Block {
 public:
  SlowCoupling(Weights& weights, const std::string& prefix, const NetworkConfig& config,
               int64_t channels, const SubnetSpec& subnet);
  BlockResult forward(const at::Tensor& x, const Pass& pass) const override;

 private:
  NetworkConfig config_;
  int64_t channels_;
  Subnet subnet_;
  CouplingEnd end_;
};

/// Changes both halves, one after the other; with `downsample` at half the resolution (sections 2
/// and 3).
class TwoSidedCoupling : public Block {
 public:
  TwoSidedCoupling(Weights& weights, const std::string& prefix, const NetworkConfig& config,
                   int64_t channels, bool downsample, const SubnetSpec& first,
                   const SubnetSpec& second);
  BlockResult forward(const at::Tensor& x, const Pass& pass) const override;

 private:
  NetworkConfig config_;
  bool downsample_;
  int64_t first_size_, second_size_;
  Subnet first_, second_;
  CouplingEnd end_;
};

}  // namespace rival
