#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "layers/models/config.h"
#include "layers/training/train_step.h"
#include "runtime/allocator.h"

namespace pal::bench {

/// What a model's blocks keep for the backward pass, by the word that the benches take: store, tapes,
/// last-tape, recompute or invert, each also as store-lean, store-narrow and so on, for every block;
/// or what --activation-memory takes: auto, min, max, 512MiB. Throws usage for another one.
std::vector<BlockPolicy> policies_for(const std::string& word, const ModelConfig& config,
                                      int64_t batch, Device device);
/// Whether a network of that family can follow it.
bool is_possible(const std::string& word, ModelFamily family);

struct StepperOptions {
  ModelConfig model;
  Device device;
  int64_t batch = 0;
  bool graph = false;  ///< a CUDA graph for each policy
  double learning_rate = 1e-6;
};

/// One model with a batch of random images that lie on its device, and training steps as pal-train
/// runs them, under one policy or another.
class Stepper {
 public:
  explicit Stepper(const StepperOptions& options);

  Model& model() { return *model_; }
  /// f32 [n, h, w, c] and i32 [n], the latter on the CPU.
  const Tensor& images() const { return input_.images; }
  const Tensor& labels() const { return input_.labels; }
  void set_learning_rate(double rate);

  /// `count` steps one after the other; on a GPU with one step always left to do.
  std::vector<StepResult> run(const std::string& policy, int64_t count);
  /// The same, but never as a graph, which a profiler could not look into.
  void run_eagerly(const std::string& policy, int64_t count);
  bool by_graph(const std::string& policy) const;
  /// Forward pass and class scores with running statistics; waits. The mean loss.
  double infer();
  void synchronize() const;

 private:
  const std::vector<BlockPolicy>& policies_of(const std::string& policy);
  TrainStep& step_of(const std::string& policy);

  StepperOptions options_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::map<std::string, std::vector<BlockPolicy>> policies_;
  std::map<std::string, std::unique_ptr<TrainStep>> steps_;
  std::unique_ptr<TrainStep> eager_;
  StepInput input_;
  Tensor targets_;
};

}  // namespace pal::bench
