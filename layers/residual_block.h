#pragma once
#include <memory>
#include <string>
#include <vector>

#include "layers/subnet.h"

namespace pal {

/// Momentum of a residual network's running statistics: new = 0.9 * old + 0.1 * batch.
inline constexpr double kResidualMomentum = 0.1;

// Layers named as in torchvision's checkpoints. Convolutions have no bias and start normal with
// variance 2 / fan out (He et al. 2015).

/// A convolution and its batch norm: conv(kernel, stride) BN, named "conv<number>" and
/// "bn<number>".
SubnetSpec conv_norm(int64_t in, int64_t out, int64_t kernel, int64_t stride, int number);
/// A bottleneck block's branch: conv1x1(w) BN ReLU conv3x3(w, stride) BN ReLU conv1x1(4w) BN.
SubnetSpec bottleneck_branch(int64_t in, int64_t width, int64_t stride);
/// A basic block's branch: conv3x3(w, stride) BN ReLU conv3x3(w) BN.
SubnetSpec basic_branch(int64_t in, int64_t width, int64_t stride);

/// y = max(branch(x) + shortcut(x), 0) (He et al. 2016, Eq. 1 and 2). The shortcut is x itself, or
/// a 1x1 convolution and a batch norm ("downsample.0" and "downsample.1") where shapes differ.
class ResidualBlock {
 public:
  /// `stride` is that of `branch`, which the shortcut must follow.
  ResidualBlock(int64_t in_channels, const SubnetSpec& branch, int64_t stride, DType compute);

  /// Adds the parameters and running statistics of branch and shortcut to `state`.
  void collect(const std::string& prefix, StateList& state);
  /// Makes the running statistics.
  void initialise(DType dtype);
  /// y for x [n, h, w, in], both in the compute dtype (f64 for gradient checks). `recompute` keeps
  /// x alone and runs the block again in the backward pass, with the same batch statistics;
  /// policies that do not keep x throw usage.
  Variable forward(const Variable& x, Phase phase, BlockPolicy policy);
  Shape output_shape(const Shape& input) const { return branch_.output_shape(input); }
  /// As Subnet::set_average_count, for all batch norms of the block.
  void set_average_count(int64_t batches);
  /// As Subnet::synchronise_norms, for all batch norms of the block.
  void synchronise_norms(Communicator* ranks);

  const Subnet& branch() const { return branch_; }
  /// Null if the shortcut is x itself.
  const Subnet* shortcut() const { return shortcut_.get(); }

 private:
  /// Batch statistics of the batch norms, in order of execution, as SubnetMemory keeps them.
  struct Statistics {
    std::vector<Tensor> branch;
    std::vector<Tensor> shortcut;
  };
  Variable run(const Variable& x, Phase phase, TapeForm form, Statistics* record,
               const Statistics* replay);

  Subnet branch_;
  std::unique_ptr<Subnet> shortcut_;
};

}  // namespace pal
