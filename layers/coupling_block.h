#pragma once
#include <functional>
#include <memory>

#include "autograd/invertible.h"
#include "kernels/coupling/coupling.h"
#include "layers/act_norm.h"
#include "layers/mixing.h"
#include "layers/subnet.h"

namespace pal {

/// Options that all coupling blocks share.
struct CouplingSpec {
  /// Bound of the soft clamp on log_s, above 0.
  double clamp = 0.7;
  ActNormSpec act_norm;
  MixingSpec mixing;
  /// Mixes by W^-1 before the block and by W after it (fixed mixings, not in downsampling blocks).
  bool welling = false;
  /// Volume-preserving: log_s minus its mean over the sample.
  bool gin = false;
  /// bf16: subnets compute in bf16, the stream stays f32.
  DType compute = DType::f32;
};

/// What the coupling blocks have in common: act norm, mixing, subnets and their memory. Subclasses
/// say how the halves are coupled. A subnet's output for a half, its factors, holds the
/// unclamped s and the t of the other half: channels [s, t].
class CouplingBlock : public InvertibleBlock {
 public:
  void collect(const std::string& prefix, StateList& state) override;
  void initialise(DType dtype, uint64_t seed) override;
  void refresh() override;
  Tensor forward(const Tensor& x, const Tensor& log_det, Phase phase, BlockMemory* memory) override;
  Tensor inverse(const Tensor& y, const Tensor& log_det) override;
  BlockBackward backward(Tensor&& y, Tensor&& grad_y, const Tensor& grad_log_det,
                         BlockMemory& memory, bool want_grad_x) override;

  /// Data-dependent initialisation (Kingma and Dhariwal 2018, section 3.1): sets the act norm so
  /// that every channel of the output for x, before mixing, has mean 0 and standard deviation
  /// `deviation`; a channel of a variance below 1e-6 keeps the initial scale. Returns the output.
  /// Subnets run in `phase`, on at most `most` samples of x at a time (0: all).
  Tensor fit_act_norm(const Tensor& x, double deviation, Phase phase = Phase::train,
                      int64_t most = 0);

  /// A subnet, the prefix of its parameters' names, and the shape of what it is given.
  struct NamedSubnet {
    std::string name;
    std::unique_ptr<Subnet> subnet;
    Shape (*input_shape)(const Shape& block_input, int64_t in_channels);
    int64_t in_channels;
    /// The last bias, where the coupling's backward pass makes its gradient on a GPU; else null.
    Parameter* last_bias;
  };
  /// The subnets in the order in which the forward pass runs them.
  const std::vector<NamedSubnet>& subnets() const { return subnets_; }
  ActNorm& act_norm() { return act_norm_; }
  const ActNorm& act_norm() const { return act_norm_; }
  const Mixing& mixing() const { return mixing_; }
  int64_t out_channels() const { return out_channels_; }

 protected:
  CouplingBlock(int64_t out_channels, const CouplingSpec& spec, CouplingGains gains);

  /// The coupled, normalised and, for index maps, permuted output in new memory; adds the sum of
  /// log_s of each sample to log_det. Runs the subnets, whose runs `memory` (may be null) keeps.
  virtual Tensor couple(const Tensor& x, const OutputMap& map, const Tensor& log_det, Phase phase,
                        BlockMemory* memory) = 0;
  /// x from y = couple(x), in new memory; subtracts the sum of log_s from log_det if that is
  /// defined.
  virtual Tensor uncouple(const Tensor& y, const OutputMap& map, const Tensor& log_det) = 0;
  /// The backward pass of couple: x, taken from memory.input or, if that is undefined, rebuilt from
  /// y, and grad_x. Adds to the subnets' gradients and to `act_norm`, which holds the gradients of
  /// scale and offset alone.
  virtual BlockBackward couple_backward(Tensor&& y, Tensor&& grad_y, const Tensor& grad_log_det,
                                        const OutputMap& map, BlockMemory& memory, bool want_grad_x,
                                        const CouplingGrads& act_norm) = 0;

  /// For constructors: adds a subnet, which run_subnet and tape_of then know by its position.
  void add_subnet(std::string name, int64_t in_channels, const SubnetSpec& spec,
                  Shape (*input_shape)(const Shape&, int64_t));

  /// The factors that a subnet makes of a stream half; keeps what the policy of `memory` asks for
  /// (null: nothing).
  Tensor run_subnet(size_t which, const Tensor& half, Phase phase, BlockMemory* memory);
  /// A subnet's run on a local tape, for the backward pass: the stored one, which gets `half` back
  /// where that was not kept, or a new one with the statistics of the forward pass.
  LocalTape tape_of(size_t which, const Tensor& half, BlockMemory& memory);
  /// Differentiates a local tape: adds to the gradients of the subnet's parameters and that of its
  /// input to grad_half (undefined: not wanted).
  static void backward_subnet(LocalTape tape, Tensor grad_factors, const Tensor& grad_half);

  /// `map` with the shift that GIN puts on log_s for these factors; `map` itself without GIN.
  OutputMap with_shift(const OutputMap& map, const Tensor& factors) const;
  /// Adds to grads.factors what flows through GIN's shift, which grads.log_s tells; nothing without
  /// GIN.
  void finish_grad_factors(const Tensor& factors, const CouplingGrads& grads) const;
  /// Destinations for the gradients of one half: grad_active as given, those of the subnet's
  /// factors and, if GIN needs it, of log_s in new memory; on a GPU also that of its last bias.
  CouplingGrads half_grads(size_t which, const Tensor& grad_active, const Tensor& factors) const;

  CouplingGains gains_;

 private:
  /// Act norm and index map of the block as the kernels take them.
  OutputMap make_map(const ActNorm::Values& values) const;
  /// W x, or W^-1 x, for `welling`: W an index map or a matrix.
  Tensor mix(const Tensor& x, bool inverse) const;

  int64_t out_channels_;
  CouplingSpec spec_;
  ActNorm act_norm_;
  Mixing mixing_;
  std::vector<NamedSubnet> subnets_;
};

}  // namespace pal
