#pragma once
#include <string>
#include <vector>

#include "bench/libtorch/weights.h"

namespace rival {

/// How batch norms behave in one run.
struct Pass {
  bool training = true;
  /// Moves the running averages; off when a run is repeated for the backward pass.
  bool update_statistics = true;
};

/// Momentum of running averages, and of those of residual networks.
inline constexpr double kMomentum = 0.05;
inline constexpr double kResidualMomentum = 0.1;

struct LayerSpec {
  enum class Kind { norm, relu, conv } kind = Kind::norm;
  int64_t stride = 1;
  /// Within the subnet; empty: its position.
  std::string name = {};

  static LayerSpec norm(std::string its_name = {}) { return {Kind::norm, 1, std::move(its_name)}; }
  static LayerSpec relu() { return {Kind::relu}; }
  static LayerSpec conv(int64_t stride = 1, std::string its_name = {}) {
    return {Kind::conv, stride, std::move(its_name)};
  }
};
using SubnetSpec = std::vector<LayerSpec>;

/// Convolutions, batch norms and ReLUs; under autocast if the settings say bf16. Extents of the
/// kernels and whether there is a bias follow from the weights.
class Subnet {
 public:
  Subnet(Weights& weights, const std::string& prefix, const SubnetSpec& spec, double momentum);
  /// x [n, c, h, w]; the result may be bfloat16.
  at::Tensor forward(at::Tensor x, const Pass& pass) const;

 private:
  struct Layer {
    LayerSpec spec;
    at::Tensor weight, bias, running_mean, running_var;
  };
  at::Tensor run(const Layer& layer, const at::Tensor& x, const Pass& pass) const;

  std::vector<Layer> layers_;
  Settings settings_;
  double momentum_;
};

}  // namespace rival
