#pragma once
#include <memory>
#include <string>

#include "bench/libtorch/network.h"

namespace rival {

struct StepFigures {
  double loss = 0.0;
  double grad_norm = 0.0;  ///< of the network, before clipping
};

/// A network with its batch and optimizer: SGD with momentum, the network's gradient clipped as the
/// engine does.
class Trainer {
 public:
  /// From a file of step_worker's `export`: weights, configuration, `bench.images` and
  /// `bench.labels`.
  Trainer(const std::string& path, const Settings& settings, double learning_rate);

  void set_learning_rate(double rate) { learning_rate_ = rate; }
  int64_t batch() const { return images_.size(0); }
  /// One whole step. Policies: `store` keeps what autograd keeps; `checkpoint` keeps the blocks'
  /// inputs and runs each block again in the backward pass. Throws for another one.
  StepFigures step(const std::string& policy);
  /// Forward and backward alone: gradients are added to those there are.
  double gradients(const std::string& policy);
  /// Class scores with running statistics; waits for them. Returns the largest.
  double infer();
  /// Mean loss with running statistics.
  double evaluate();
  /// Gives every gradient its memory, zeros.
  void hold_gradients();
  void drop_gradients();

 private:
  double checkpointed();
  double clip_network();
  void update(Group group);

  Settings settings_;
  std::unique_ptr<Network> network_;
  at::Tensor images_, labels_;
  struct State {
    std::vector<at::Tensor> parameters, momentum;
    bool first = true;
  };
  State network_state_, means_state_;
  double learning_rate_;
};

}  // namespace rival
