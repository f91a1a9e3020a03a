#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "experiments/planning/memory_plan.h"
#include "experiments/planning/roofs.h"
#include "experiments/training/train_data.h"
#include "layers/models/ib_inn.h"
#include "layers/training/optimizer.h"
#include "runtime/communicator/ranks.h"

namespace pal {

/// What a training run is made of, ready for its first step. The run's other parts refer to it, so
/// it stays where it is.
struct TrainSetup {
  /// Sets threads and the memory limit, opens the data, plans the memory and builds the model with
  /// new weights on its device. Throws usage for options that do not fit each other or the data,
  /// data as `open_dataset`, environment for a memory limit that no plan keeps.
  /// `recipe` is what checkpoints record of the options (recipe_json). The options' batch is settled
  /// (settle_batch) for the ranks, which must outlive the setup.
  TrainSetup(const TrainOptions& given, const std::string& recipe, Ranks& ranks);
  TrainSetup(const TrainSetup&) = delete;
  TrainSetup& operator=(const TrainSetup&) = delete;

  int64_t steps_per_epoch() const { return data.training().whole_steps(); }
  /// Exchanges tensors on the model's device.
  Communicator& tensors() const { return device_ranks ? *device_ranks : ranks.host(); }
  /// Steps of the last phase, which trains the class means alone.
  int64_t finetune_steps() const;
  /// Bytes of the parameters, their gradients and what the optimizer keeps of each.
  int64_t state_bytes() const;
  /// The steps of so many epochs, at least 1.
  int64_t steps_of(double epochs) const;
  bool computes_bf16() const { return model->config().compute == DType::bf16; }
  /// Bits/dim of a loss L_X in nats per dimension.
  double bits_per_dim(double nll_joint) const;
  /// Whether the best model is that of the highest density, not of the lowest cross-entropy: where
  /// beta says that the density weighs more.
  bool best_by_density() const { return model->has_density() && options.beta < 0.5; }
  Allocator& memory() const { return Allocator::of(device); }

  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  Ranks& ranks;
  std::string recipe;    ///< the options that decide numbers, as JSON
  TrainOptions options;  ///< as given, the schedule's total_steps filled in
  MeasuredRoofs roofs;   ///< empty unless the run is profiled
  Device device;
  std::unique_ptr<Communicator> device_ranks;  ///< null: that of the host will do
  TrainData data;
  std::unique_ptr<Model> model;
  IbInn* flow = nullptr;  ///< the model as an IB-INN; null for a ResNet
  MemoryPlan plan;
  std::vector<int> inverted;  ///< indices of the blocks that are rebuilt by inversion
  std::unique_ptr<Optimizer> optimizer;
  bool use_graph = false;  ///< whether steps are recorded into a CUDA graph
};

}  // namespace pal
