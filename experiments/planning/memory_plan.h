#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "autograd/invertible.h"
#include "experiments/planning/model_summary.h"

namespace pal {

class Model;

/// Multiply-adds in the time of moving one byte, roughly: on a CPU float32 convolutions by the
/// memory's rate (250 G/s and 37 GB/s measured, bench/NOTES.md), on a GPU bf16 products by its
/// memory's (assumed of an H200: 395 T/s and 4.3 TB/s).
double multiply_adds_per_byte(Device device);

/// Counts what training steps would allocate, by running them on a meta device: the very calls of a
/// real step, but no kernels. Scratch memory of libraries is left out, but for the copy of a weight
/// gradient on the CPU.
class StepMemory {
 public:
  /// Steps on `batch` images as `device` would run them. Throws usage for an empty batch.
  StepMemory(const ModelConfig& config, int64_t batch, Device device);
  ~StepMemory();
  /// Number of blocks that have a policy.
  int blocks() const;
  /// Peak of a step's activations (tags stream, subnet and workspace) in bytes. Throws usage for
  /// policies that the network does not have.
  int64_t peak(const std::vector<BlockPolicy>& policies);
  /// Bytes of the weights' copies in layouts of libraries that those steps made and kept.
  int64_t copies() const;

 private:
  std::unique_ptr<Model> model_;
  Tensor images_;
  Tensor targets_;
  int64_t parameter_bytes_ = 0;
};

/// What --activation-memory asks for.
struct MemoryRequest {
  enum class Kind {
    min,        ///< the lowest peak
    max,        ///< everything is stored
    automatic,  ///< the fastest plan within 1.5 times what rebuilding every block needs
    bytes,      ///< the fastest plan within `bytes`
  } kind = Kind::automatic;
  int64_t bytes = 0;

  /// "auto", "min", "max" or bytes such as "512MiB". Throws usage "expected ...".
  static MemoryRequest parse(const std::string& text);
  /// The request as parse() takes it.
  std::string text() const;
};

/// What each block keeps for the backward pass, chosen for one network, batch and device.
struct MemoryPlan {
  /// One for each of Model::policy_blocks().
  std::vector<BlockPolicy> policies;
  int64_t batch = 0;  ///< images in a step
  /// Expected peak of a step's activations, in bytes.
  int64_t peak_bytes = 0;
  /// The weights' copies in layouts of libraries, beside the parameters themselves, in bytes.
  int64_t copy_bytes = 0;
  /// Multiply-adds of the forward pass that run again in the backward pass, as a share of it.
  double recomputed = 0.0;
  /// Those and the bytes moved again, as a share of the forward pass's: how much longer than storing
  /// everything a step takes by the planner's count, in forward passes.
  double extra_work = 0.0;

  /// Whether the backward pass makes anything anew.
  bool rebuilds() const;
  /// The plan for people: "of 21 blocks 2 stored lean, 9 tapes narrow, 10 inverted; 17 % of the
  /// forward pass run again".
  std::string summary() const;
};

/// Chooses what each block keeps. The plan follows from the arguments alone: costs are
/// multiply-adds and bytes moved, weighed by the rates of common processors, never measured. Throws
/// environment if `bytes` do not suffice, saying what would, and the largest batch that fits.
MemoryPlan plan_memory(const ModelConfig& config, int64_t batch, Device device,
                       const MemoryRequest& request);

/// The largest batch below `batch` that `fits`, as all smaller ones do; 0: none.
int64_t largest_batch(int64_t batch, const std::function<bool(int64_t batch)>& fits);

}  // namespace pal
