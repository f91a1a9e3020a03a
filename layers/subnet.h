#pragma once
#include <memory>
#include <string>
#include <vector>

#include "autograd/invertible.h"
#include "autograd/ops.h"

namespace pal {

/// Momentum of a subnet's running statistics: new = 0.95 * old + 0.05 * batch.
inline constexpr double kBatchNormMomentum = 0.05;
/// What batch norms add to a variance before its root.
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
  /// Batch norms only: momentum of the running statistics.
  double momentum = kBatchNormMomentum;
  /// The layer's name within the subnet; empty: its position, as in the published checkpoints.
  std::string name = {};

  static LayerSpec batch_norm() { return {.kind = Kind::batch_norm}; }
  static LayerSpec relu() { return {.kind = Kind::relu}; }
  static LayerSpec conv(int64_t out, int64_t kernel, int64_t stride, bool bias, double gain = 1.0) {
    return {Kind::conv, out, kernel, stride, bias, gain};
  }
  /// This layer under another name.
  LayerSpec named(std::string its_name) const {
    LayerSpec spec = *this;
    spec.name = std::move(its_name);
    return spec;
  }
};

/// The layers of a subnet, first to last.
using SubnetSpec = std::vector<LayerSpec>;

// The subnets of layers/models/README.md, 5; `gain` scales the last convolution's initial weights.

/// The bottleneck subnet of width w:
/// BN ReLU conv1x1(w) BN ReLU conv3x3(w, stride) BN ReLU conv1x1(4w) BN ReLU conv1x1(out, bias).
SubnetSpec bottleneck_subnet(int64_t width, int64_t out, int64_t stride, double gain);
/// The basic subnet: BN ReLU conv3x3(w) BN ReLU conv3x3(w, stride) BN ReLU conv1x1(out, bias).
SubnetSpec basic_subnet(int64_t width, int64_t out, int64_t stride, double gain);
/// The strided subnet of the entry (parameters `s_hi`): conv3x3(w) BN ReLU conv3x3(w, stride 2) BN
/// ReLU conv1x1(out, bias).
SubnetSpec entry_strided_subnet(int64_t width, int64_t out, double gain);
/// The strided subnet of the paper's entry: conv7x7(w, stride 2) BN ReLU conv1x1(out, bias).
SubnetSpec entry_strided_7x7_subnet(int64_t width, int64_t out, double gain);
/// The subnet of the entry at low resolution (parameters `s_lo`): conv3x3(w) BN ReLU conv1x1(out).
SubnetSpec entry_low_res_subnet(int64_t width, int64_t out, double gain);
/// A subnet that sees one pixel at a time: conv1x1(w, bias) ReLU conv1x1(out, bias).
SubnetSpec pointwise_subnet(int64_t width, int64_t out, double gain);

/// What a subnet's tape does not keep but makes anew when its backward pass comes to it; each adds
/// to the one before.
enum class Remade {
  nothing,
  /// The result of a first convolution that is cheap to make and large (stem_norm_conv).
  stem,
  /// As `stem`, and besides the gradient of that result and all normalised values (norm_conv).
  normalised,
  /// As `normalised`, and besides the results of convolutions with more channels than their input
  /// has, before a batch norm.
  widened,
};
/// What tapes of a form make anew; `full` is for full ones: nothing or the stem.
Remade remade_of(TapeForm form, Remade full);

/// How one run of a subnet goes.
struct SubnetPass {
  Phase phase = Phase::evaluate;
  Remade remade = Remade::stem;
  /// Training phase, first run: mean and inverse deviation of each batch norm are appended here
  /// (null: nowhere), and the running statistics are updated.
  std::vector<Tensor>* record = nullptr;
  /// Training phase, recomputation: the statistics that the first run recorded, which batch norms
  /// use again; running statistics stay.
  const std::vector<Tensor>* replay = nullptr;
};

/// One layer's size, for summaries.
struct LayerSummary {
  std::string name;
  std::string kind;
  Shape output;
  int64_t kernel = 1;  ///< pixels, along either side; 1 but for convolutions
  int64_t stride = 1;
  int64_t parameters = 0;
  int64_t multiply_adds = 0;  ///< of one sample
  int64_t kept_bytes = 0;     ///< activations of one sample that a stored tape keeps: its input
  /// From where on a tape does not keep the layer's result; `nothing`: it always does.
  Remade remade = Remade::nothing;
};

/// The function inside a coupling (s and t from the passive half) or a branch of a residual block.
/// Never inverted.
class Subnet {
 public:
  Subnet(int64_t in_channels, const SubnetSpec& spec, DType compute);
  ~Subnet();

  /// Adds the parameters and running statistics of all layers to `state`.
  void collect(const std::string& prefix, StateList& state);
  /// From now on the caller adds to the gradient of the last layer's bias on a GPU: the sums over
  /// all rows of the gradient of the result. Returns that bias; null if there is none.
  Parameter* take_last_bias_gradient();
  /// Makes the running statistics: mean 0, variance 1.
  void initialise(DType dtype);
  /// The subnet's result [n, h', w', out] for x [n, h, w, in], in the compute dtype (f64 for an f64
  /// x). Throws usage if pass.replay holds too few statistics.
  Variable forward(const Variable& x, const SubnetPass& pass);
  /// Shape of the result for a shape of x.
  Shape output_shape(Shape input) const;
  /// One row per layer, for an x of this shape and dtype.
  std::vector<LayerSummary> summary(Shape input, DType input_dtype = DType::f32) const;

  /// Makes batch norms take 1 / batches for their momentum: with 1, 2, ... before the passes to
  /// come, running statistics become the average over those batches. 0 restores the momentum.
  void set_average_count(int64_t batches) { average_count_ = batches; }
  /// Gives batch norms, in the training phase, the statistics of the rows of all ranks (null: of
  /// this process's alone): Model::synchronise_norms.
  void synchronise_norms(Communicator* ranks) { ranks_ = ranks; }

  class Layer;

 private:
  /// Whether the first convolution and the two layers after it run as one (stem_norm_conv).
  bool has_stem() const;
  /// From where on a tape does not keep the result of a layer.
  Remade remade_from(size_t layer) const;

  std::vector<std::unique_ptr<Layer>> layers_;
  DType compute_;
  int64_t average_count_ = 0;
  Communicator* ranks_ = nullptr;
};

}  // namespace pal
