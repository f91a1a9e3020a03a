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
/// say how the halves are coupled.
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
  /// `deviation`. Returns the output.
  Tensor fit_act_norm(const Tensor& x, double deviation);

  struct NamedSubnet {
    std::string name;
    std::unique_ptr<Subnet> subnet;
    Shape (*input_shape)(const Shape& block_input, int64_t in_channels);
    int64_t in_channels;
  };
  const std::vector<NamedSubnet>& subnets() const { return subnets_; }
  const Mixing& mixing() const { return mixing_; }
  int64_t out_channels() const { return out_channels_; }

 protected:
  CouplingBlock(int64_t out_channels, const CouplingSpec& spec, CouplingGains gains);

  /// Writes the coupled, normalised (and, for index maps, permuted) output.
  virtual Tensor couple(const Tensor& x, const CouplingOutput& output, const Tensor& log_det,
                        Phase phase, BlockMemory* memory) = 0;
  virtual Tensor uncouple(const Tensor& y, const CouplingOutput& output, const Tensor& log_det) = 0;
  /// memory.input undefined: rebuild x from y. grads.scale and grads.offset are to be added to.
  virtual BlockBackward couple_backward(Tensor&& y, Tensor&& grad_y, const Tensor& grad_log_det,
                                        const CouplingOutput& output, BlockMemory& memory,
                                        bool want_grad_x, const CouplingGrads& grads) = 0;

  void add_subnet(std::string name, int64_t in_channels, const SubnetSpec& spec,
                  Shape (*input_shape)(const Shape&, int64_t));

  /// The subnet's output for a stream half, keeping what the memory's policy asks for.
  Tensor run_subnet(size_t which, const Tensor& half, Phase phase, BlockMemory* memory);
  /// The subnet on a local tape in the backward pass: the stored run, or a new one.
  LocalTape tape_of(size_t which, const Tensor& half, BlockMemory& memory);
  /// Differentiates a local tape; adds the gradient of its input to grad_half (undefined: none).
  static void backward_subnet(LocalTape tape, Tensor grad_a, const Tensor& grad_half);

  /// The output description with GIN's shift for one subnet output.
  CouplingOutput with_shift(const CouplingOutput& output, const Tensor& a) const;
  /// Finishes grad_a under GIN; grads.log_s must have been asked for.
  void finish_grad_a(const Tensor& a, const CouplingGrads& grads) const;
  /// Gradient destinations for one half: the given grad_active, a new grad_a, log_s if GIN needs
  /// it.
  CouplingGrads half_grads(const Tensor& grad_active, const Tensor& a) const;

  CouplingGains gains_;

 private:
  CouplingOutput make_output(const ActNorm::Values& values) const;
  /// W^-1 or W for `welling`, on index maps and matrices alike.
  Tensor mix(const Tensor& x, bool inverse) const;

  int64_t out_channels_;
  CouplingSpec spec_;
  ActNorm act_norm_;
  Mixing mixing_;
  std::vector<NamedSubnet> subnets_;
};

}  // namespace pal
