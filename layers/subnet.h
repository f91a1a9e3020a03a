#pragma once
#include <memory>
#include <string>
#include <vector>

#include "autograd/invertible.h"
#include "autograd/ops.h"

namespace pal {

/// Momentum of the running statistics (new = 0.95 old + 0.05 batch) and epsilon of batch norms.
inline constexpr double kBatchNormMomentum = 0.05;
inline constexpr double kBatchNormEpsilon = 1e-5;

/// One layer of a subnet. A batch norm directly before a ReLU runs fused with it.
struct LayerSpec {
  enum class Kind { batch_norm, relu, conv } kind;
  // Convolutions only.
  int64_t out_channels = 0;
  int64_t kernel = 1;
  int64_t stride = 1;
  bool bias = false;
  /// Factor on the initial standard deviation, sqrt(2 / fan in).
  double init_gain = 1.0;
  /// Batch norms only: of the running statistics.
  double momentum = kBatchNormMomentum;
  /// Its name within the subnet; empty: its position, as in the published checkpoints.
  std::string name = {};

  static LayerSpec batch_norm() { return {.kind = Kind::batch_norm}; }
  static LayerSpec relu() { return {.kind = Kind::relu}; }
  static LayerSpec conv(int64_t out, int64_t kernel, int64_t stride, bool bias, double gain = 1.0) {
    return {Kind::conv, out, kernel, stride, bias, gain};
  }
  LayerSpec named(std::string its_name) const {
    LayerSpec spec = *this;
    spec.name = std::move(its_name);
    return spec;
  }
};

using SubnetSpec = std::vector<LayerSpec>;

// The subnets of model.md, section 5; `gain` scales the last convolution's initial weights.

/// BN ReLU conv1x1(w) BN ReLU conv3x3(w, stride) BN ReLU conv1x1(4w) BN ReLU conv1x1(out, bias).
SubnetSpec bottleneck_subnet(int64_t width, int64_t out, int64_t stride, double gain);
/// BN ReLU conv3x3(w) BN ReLU conv3x3(w, stride) BN ReLU conv1x1(out, bias).
SubnetSpec basic_subnet(int64_t width, int64_t out, int64_t stride, double gain);
/// conv3x3(w) BN ReLU conv3x3(w, stride 2) BN ReLU conv1x1(out, bias).
SubnetSpec entry_strided_subnet(int64_t width, int64_t out, double gain);
/// conv7x7(w, stride 2) BN ReLU conv1x1(out, bias): the paper's entry flow.
SubnetSpec entry_strided_7x7_subnet(int64_t width, int64_t out, double gain);
/// conv3x3(w) BN ReLU conv1x1(out).
SubnetSpec entry_low_res_subnet(int64_t width, int64_t out, double gain);
/// conv1x1(n, bias) ReLU conv1x1(out, bias).
SubnetSpec pointwise_subnet(int64_t width, int64_t out, double gain);

/// What a subnet's tape does not keep but makes anew when its backward pass comes to it.
enum class Remade {
  nothing,
  /// The result of a first convolution that is cheap to make and large (stem_norm_conv).
  stem,
  /// That and its gradient, and normalised values (norm_conv).
  normalised,
};

/// How one run of a subnet goes.
struct SubnetPass {
  Phase phase = Phase::evaluate;
  Remade remade = Remade::stem;
  // How batch norms behave.
  /// Training phase: where the batch statistics go (and the running ones are updated)...
  std::vector<Tensor>* record = nullptr;
  /// ...or where they come from, in a recomputation.
  const std::vector<Tensor>* replay = nullptr;
};

/// One layer's size, for summaries.
struct LayerSummary {
  std::string name;
  std::string kind;
  Shape output;
  int64_t parameters = 0;
  int64_t multiply_adds = 0;  ///< of one sample
  int64_t kept_bytes = 0;     ///< activations of one sample that a stored tape keeps
};

/// The function inside a coupling (s and t from the passive half) or a branch of a residual block.
/// Never inverted.
class Subnet {
 public:
  Subnet(int64_t in_channels, const SubnetSpec& spec, DType compute);
  ~Subnet();

  void collect(const std::string& prefix, StateList& state);
  /// Makes the running statistics.
  void initialise(DType dtype);
  /// Its result [n, h', w', out] in the compute dtype (f64 for an f64 input).
  Variable forward(const Variable& x, const SubnetPass& pass);
  Shape output_shape(Shape input) const;
  /// One row per layer for an input shape, which comes in `input_dtype`.
  std::vector<LayerSummary> summary(Shape input, DType input_dtype = DType::f32) const;

  /// Batch norms use a cumulative average of the batches to come instead of the momentum; 0
  /// restores.
  void set_average_count(int64_t batches) { average_count_ = batches; }

  class Layer;

 private:
  std::vector<std::unique_ptr<Layer>> layers_;
  DType compute_;
  int64_t average_count_ = 0;
};

}  // namespace pal
