#pragma once
#include <memory>

#include "layers/models/model.h"
#include "layers/training/gradient_reducer.h"
#include "layers/training/optimizer.h"
#include "runtime/cuda_graph.h"
#include "runtime/readback.h"

namespace pal {

/// What one step needs, or one part of it: a step can take its images in parts, one after another,
/// that add to the same gradients.
struct StepInput {
  /// f32 [n, h, w, c], normalised, on the model's device; best in TrainStep::memory_for.
  Tensor images;
  Tensor labels;           ///< i32 [n] on the CPU
  double smoothing = 0.0;  ///< share of a target that is spread over all classes
  LossSpec loss;
  UpdateOptions update;
  /// Trains the head alone (Model::forward_backward_head); all else, moments included, stays.
  bool head_only = false;
  /// Forbids a graph: the step is watched (InvertibleChain::monitor_next), or differs in shape.
  bool eager = false;
  /// Images of the whole step, over all parts and ranks; 0: these are all.
  int64_t whole = 0;
  int part = 0;
  int parts = 1;
};

/// What one step found: means over all its images, before the update.
struct StepResult {
  double loss = 0.0;           ///< weighted, without LossSpec::factor
  double nll_joint = 0.0;      ///< nats per dimension
  double cross_entropy = 0.0;  ///< nats
  double accuracy = 0.0;       ///< share of images whose best score is that of their label
  double grad_norm = 0.0;      ///< of the network's trained part, before clipping
  /// What became of the step, and of those before it. A step that was not taken changed nothing: no
  /// weight, no moment, no average, no running statistic.
  GuardState guard;

  bool taken() const { return guard.verdict == StepVerdict::taken; }
  /// Too many steps in a row were not finite: this one and all that follow change nothing.
  bool halted() const { return guard.verdict == StepVerdict::halted; }
};

/// Training steps of one model: forward, loss, backward, update. On a GPU nothing here waits for
/// it: results are taken later. With `use_graph`, steps of one shape are recorded into a CUDA graph
/// after kWarmUps eager ones (which choose library plans and make weight shadows) and launched as a
/// whole. A recording holds memory; where that is short for something else, the recording is given
/// up and made anew with the next step.
class TrainStep {
 public:
  static constexpr int kWarmUps = 3;

  /// For a model and the optimizer of its parameters, which must both outlive it. Throws usage for
  /// a graph without a GPU, or of a model with a learned mixing, which each step computes on the
  /// host.
  TrainStep(Model& model, Optimizer& optimizer, bool use_graph);
  /// Steps that are shared between ranks, by a communicator for tensors on the model's device:
  /// gradients, running statistics and numbers are those of all images, so that all ranks make the
  /// same update. Throws usage for a graph that the communicator cannot be part of.
  TrainStep(Model& model, Optimizer& optimizer, bool use_graph, Communicator& ranks,
            const ReductionSpec& spec);
  /// Memory to write the next step's images to: with a graph, the buffer that it reads, so that
  /// run() has nothing to copy; else memory of their own. Steps asked for before have read it, in
  /// the order of the stream.
  Tensor memory_for(const Shape& images);
  /// Asks the device for one step, or one part of it; the last part makes the update. Throws usage
  /// for a label outside the model's classes.
  void run(const StepInput& input);
  /// How many steps were run whose results were not taken; at most Readback::kDepth.
  int pending() const { return results_.pending(); }
  /// Result of the oldest pending step; waits for it. Throws peer where a rank is lost meanwhile.
  StepResult take();
  /// Whether the last step ran as a graph.
  bool by_graph() const { return by_graph_; }
  /// Nodes of the recorded step; 0: none is recorded.
  int64_t graph_nodes() const { return graph_.nodes(); }

 private:
  /// What a recorded step depends on beside the contents of its buffers.
  struct Key {
    Shape images;
    int64_t whole = 0;
    double factor = 0.0;
    double beta = 0.0;
    double smoothing = 0.0;
    bool head_only = false;
    StepVariant variant;
    bool operator==(const Key&) const = default;
  };
  void make_image_buffer(const Shape& images);
  void make_label_buffers(int64_t images);
  void forget_recording();
  void upload_labels(const Tensor& labels);
  void work(const StepInput& input, const Tensor& images);
  void work_by_graph(const StepInput& input);
  void record(const StepInput& input);
  void add_up(const StepInput& input, const LossResult& result, int64_t images);
  void share_out(const StepInput& input);
  void apply(const Tensor& summary, const Tensor& correct, bool head_only);

  Model& model_;
  Optimizer& optimizer_;
  bool use_graph_;
  bool by_graph_ = false;
  CudaGraph graph_;
  std::unique_ptr<Allocator::Pool> pool_;  // goes before the graph, which it may reset
  Key key_;
  int warm_ups_ = 0;
  Tensor images_;  // what a graph reads
  Tensor labels_, targets_, correct_, numbers_;
  std::unique_ptr<GradientReducer> reducer_;  // null: one rank
  Tensor totals_;                             // f64 [4] of a step in parts or of several ranks
  int64_t images_so_far_ = 0;                 // in its parts
  StagingRing staging_;
  Readback results_;
  struct Pending {
    int64_t images;
    double factor;
  };
  std::vector<Pending> pending_;
};

}  // namespace pal
