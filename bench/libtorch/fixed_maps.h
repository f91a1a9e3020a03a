#pragma once
#include "bench/libtorch/block.h"
#include "bench/libtorch/coupling_parts.h"

namespace rival {

/// Checkerboard reordering: output channel 4 c + 2 dy + dx at (i, j) is channel c at
/// (2 i + dy, 2 j + dx).
at::Tensor checkerboard(const at::Tensor& x);

/// Haar downsampling, outputs ordered by wavelet.
class Haar : public Block {
 public:
  Haar(const Settings& settings, int64_t channels);
  BlockResult forward(const at::Tensor& x, const Pass& pass) const override;

 private:
  at::Tensor kernels_;  // [4 c, 1, 2, 2]; undefined: sums of slices
};

/// DCT pooling of maps of size x size to a vector [n, D], horizontal frequency slowest, channel
/// fastest.
class DctPooling : public Block {
 public:
  DctPooling(const Settings& settings, const NetworkConfig& config, int64_t size, int64_t channels);
  BlockResult forward(const at::Tensor& x, const Pass& pass) const override;

 private:
  at::Tensor matrix_;  // both products as one over the pixels, [size^2, size^2]
  at::Tensor log_det_;
};

/// Act norm over the latent dimensions.
class LatentNorm : public Block {
 public:
  LatentNorm(Weights& weights, const std::string& prefix, const std::string& kind);
  BlockResult forward(const at::Tensor& x, const Pass& pass) const override;

 private:
  ActNorm act_norm_;
};

}  // namespace rival
