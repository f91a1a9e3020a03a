#include "bench/libtorch/subnet.h"

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>

#include <optional>

namespace rival {
namespace {

constexpr double kEpsilon = 1e-5;

/// Autocast to bfloat16 while it lives.
class Autocast {
 public:
  explicit Autocast(at::DeviceType device) : device_(device) {
    at::autocast::increment_nesting();
    at::autocast::set_autocast_enabled(device, true);
    at::autocast::set_autocast_dtype(device, at::kBFloat16);
  }
  ~Autocast() {
    at::autocast::set_autocast_enabled(device_, false);
    // Copies of weights are of no use after the optimizer's step.
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  at::DeviceType device_;
};

/// With one thread and fewer than 16 images PyTorch sends pointwise convolutions not to oneDNN but
/// to a matrix product of MKL, which on other makers' processors takes about twice as long. It does
/// not when they are dilated, which changes nothing for one tap.
int64_t pointwise_dilation(const at::Tensor& x) {
  return x.device().is_cpu() && at::get_num_threads() == 1 && x.size(0) < 16 ? 2 : 1;
}

std::optional<at::Tensor> if_defined(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional<at::Tensor>(tensor) : std::nullopt;
}

}  // namespace

Subnet::Subnet(Weights& weights, const std::string& prefix, const SubnetSpec& spec, double momentum)
    : settings_(weights.settings()), momentum_(momentum) {
  for (size_t i = 0; i < spec.size(); ++i) {
    Layer layer{spec[i], {}, {}, {}, {}};
    const std::string name =
        prefix + (spec[i].name.empty() ? std::to_string(i) : spec[i].name) + ".";
    if (spec[i].kind != LayerSpec::Kind::relu) {
      layer.weight = weights.parameter(name + "weight");
      if (weights.has(name + "bias")) layer.bias = weights.parameter(name + "bias");
    }
    if (spec[i].kind == LayerSpec::Kind::norm) {
      layer.running_mean = weights.buffer(name + "running_mean");
      layer.running_var = weights.buffer(name + "running_var");
    }
    layers_.push_back(layer);
  }
}

at::Tensor Subnet::run(const Layer& layer, const at::Tensor& x, const Pass& pass) const {
  switch (layer.spec.kind) {
    case LayerSpec::Kind::relu:
      // What comes before, a batch norm or a convolution, does not look at its result again.
      return x.relu_();
    case LayerSpec::Kind::conv: {
      const int64_t kernel = layer.weight.size(2);
      return at::conv2d(x, layer.weight, if_defined(layer.bias), layer.spec.stride, kernel / 2,
                        !settings_.untuned && kernel == 1 ? pointwise_dilation(x) : 1);
    }
    case LayerSpec::Kind::norm:
      break;
  }
  const bool running = !pass.training || pass.update_statistics;
  return at::batch_norm(x, layer.weight, layer.bias,
                        running ? if_defined(layer.running_mean) : std::nullopt,
                        running ? if_defined(layer.running_var) : std::nullopt, pass.training,
                        momentum_, kEpsilon, /*cudnn_enabled=*/true);
}

at::Tensor Subnet::forward(at::Tensor x, const Pass& pass) const {
  std::optional<Autocast> autocast;
  if (settings_.bf16) autocast.emplace(settings_.device.type());
  // A channel slice would send batch norm into its slow path for any strides, three to four times
  // slower on a CPU than the copy.
  if (!settings_.untuned) x = x.contiguous(at::MemoryFormat::ChannelsLast);
  for (const Layer& layer : layers_) x = run(layer, x, pass);
  return x;
}

}  // namespace rival
