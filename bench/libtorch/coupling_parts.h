#pragma once
#include <optional>
#include <string>

#include "bench/libtorch/gather.h"
#include "bench/libtorch/network_config.h"
#include "bench/libtorch/weights.h"

namespace rival {

/// [n, c, h, w] seen as [n, h, w, c] and back.
inline at::Tensor rows(const at::Tensor& x) { return x.permute({0, 2, 3, 1}); }
inline at::Tensor from_rows(const at::Tensor& x) { return x.permute({0, 3, 1, 2}); }

/// Scale and offset of each channel (layers/models/README.md, 1).
class ActNorm {
 public:
  ActNorm(Weights& weights, const std::string& prefix, const std::string& kind);
  at::Tensor scale() const;
  const at::Tensor& offset() const { return offset_; }

 private:
  at::Tensor gamma_, offset_;
  std::string kind_;
};

/// The fixed or learned mixing of channels: W = permutation, orthogonal, householder, swap, none.
class Mixing {
 public:
  Mixing(Weights& weights, const std::string& prefix, const std::string& kind, int64_t channels);
  /// Of x [n, c, h, w]; `inverse`: by W^-1.
  at::Tensor apply(const at::Tensor& x, bool inverse = false) const;

 private:
  at::Tensor matrix() const;

  std::string kind_;
  bool untuned_;
  std::optional<ChannelOrder> order_;
  at::Tensor matrix_;   // orthogonal, householder's first factor, or an order spelled out
  at::Tensor vectors_;  // householder's [reflections, c]
};

/// Factors of s and t: log_s = clamp tanh(s_gain s), y = x exp(log_s) + t_gain t.
struct Gains {
  double s = 0.0;
  double t = 0.0;
};

struct Coupled {
  at::Tensor y;        ///< the changed half
  at::Tensor log_det;  ///< [n]; undefined if volume is preserved
};

/// Changes one half x by a subnet's output, [n, 2c, h, w].
Coupled affine(const at::Tensor& x, const at::Tensor& coefficients, const Gains& gains,
               const NetworkConfig& config);

}  // namespace rival
