#pragma once
#include <memory>
#include <string>
#include <vector>

#include "autograd/gradient_check.h"
#include "autograd/invertible.h"

namespace pal::testing {

/// A chain with memory for its parameters, an input and a random linear function of its outputs,
/// <y, grad_y> + <log_det, grad_log_det>, as loss.
class ChainCase {
 public:
  /// Draws parameters, buffers, input and loss. With `jitter`, parameters that start at constants
  /// get random values around them, and so do running statistics: nothing is special then.
  ChainCase(std::vector<std::unique_ptr<InvertibleBlock>> blocks, const Shape& input,
            DType dtype = DType::f64, bool jitter = true, uint64_t seed = 1);

  /// Runs the chain; nothing is recorded.
  double loss(Phase phase);
  /// Forward and backward: adds to the gradients of the parameters and, if wanted, to grad_x.
  void backward(Phase phase, bool want_grad_x = true);
  void zero_grad() const;

  /// y without a tape, running statistics.
  Tensor map(const Tensor& batch);
  /// The log-determinant of the input's first sample, running statistics.
  double log_det();

  /// The input and all parameters with their gradients.
  std::vector<CheckedTensor> checked() const;
  /// All gradients one after another, grad_x first.
  std::vector<double> gradients() const;
  std::vector<double> running_statistics() const;

  InvertibleChain chain;
  StateList state;
  ParameterStore store;
  Tensor x, grad_x, grad_y, grad_log_det;
};

/// A block of layers/ by name, how to make it, and an input that fits it.
struct BlockCase {
  std::string name;
  std::function<std::unique_ptr<InvertibleBlock>()> make;
  Shape input;
};

/// Every coupling block with every mixing; every act norm, subnet and option; the fixed maps.
std::vector<BlockCase> all_block_cases();

/// `count` slow couplings with bottleneck subnets over `channels` channels.
std::vector<std::unique_ptr<InvertibleBlock>> plain_blocks(int count, int64_t channels,
                                                           double act_norm_init,
                                                           double subnet_gain);

}  // namespace pal::testing
