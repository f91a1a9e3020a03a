// Chooses for each block one of four levels, from the least memory to the least time: rebuilt lean,
// rebuilt, stored lean, stored (lean: what batch norms make is made anew in the backward pass).
//
// What a level costs in time is counted (BlockCost). What it costs in memory is found by running
// the training step on a meta device, since the peak is no sum over blocks but the largest total at
// any moment. So the plan is greedy: all blocks begin at the lowest level, and fill() raises those
// first that save the most time for their bytes, each only if the peak of the whole step stays
// within the budget. A raise that does not fit is undone, and the next one is tried.
#include "experiments/planning/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "layers/models/model.h"
#include "runtime/byte_count.h"
#include "runtime/error.h"

namespace pal {
namespace {

// What the automatic plan may need, as a multiple of the peak of rebuilding every block. Half as
// much again is enough to store the later stages of ibinn-imagenet, which leaves a third of the
// forward pass to be run again, and does not grow with depth either.
constexpr double kAutomaticShare = 1.5;

/// From the least memory to the least time.
constexpr int kLevels = 4;
constexpr int kRebuildLean = 0;
constexpr int kRebuild = 1;
constexpr int kStoreLean = 2;
constexpr int kStore = 3;

/// A block without batch norms has nothing to be lean about.
BlockPolicy policy_of(int level, ModelFamily family, bool has_norms) {
  const auto rebuilt =
      family == ModelFamily::flow ? ActivationPolicy::invert : ActivationPolicy::recompute;
  return {level >= kStoreLean ? ActivationPolicy::store : rebuilt,
          has_norms && (level == kRebuildLean || level == kStoreLean)};
}

/// What the levels of a block cost beyond storing everything, in multiply-adds for one sample.
struct BlockCost {
  double of[kLevels] = {};
  int64_t multiply_adds = 0;
  bool has_norms = false;
  /// About what a lean tape keeps.
  int64_t lean_bytes = 0;
};

bool is_norm(const LayerSummary& layer) { return layer.kind.rfind("batch norm", 0) == 0; }

BlockCost cost_of(const BlockSummary& block, double per_byte) {
  int64_t normalised = 0;
  BlockCost cost;
  cost.lean_bytes = 4 * block.input.numel();
  for (const SubnetSummary& subnet : block.subnets) {
    for (const LayerSummary& layer : subnet.layers) {
      cost.multiply_adds += layer.multiply_adds;
      if (is_norm(layer)) {
        normalised += layer.kept_bytes;
        cost.has_norms = true;
      }
    }
    cost.lean_bytes += subnet.output_bytes;
  }
  cost.lean_bytes += normalised;
  // Reads and writes of one pass of the norms; of rebuilding the stream.
  const double norms = per_byte * 2.0 * static_cast<double>(normalised);
  const double stream = per_byte * 12.0 * static_cast<double>(block.input.numel());
  cost.of[kStoreLean] = norms;
  cost.of[kRebuild] = static_cast<double>(cost.multiply_adds) + norms + stream;
  cost.of[kRebuildLean] = cost.of[kRebuild] + norms;
  return cost;
}

/// The blocks of the summary that have a policy.
std::vector<BlockCost> block_costs(const ModelSummary& summary, Device device) {
  std::vector<BlockCost> costs;
  for (const BlockSummary& block : summary.blocks)
    if (block.has_policy) costs.push_back(cost_of(block, multiply_adds_per_byte(device)));
  return costs;
}

/// Chooses levels so that the peak stays within a budget.
class Planner {
 public:
  Planner(const ModelConfig& config, int64_t batch, Device device)
      : summary_(summarize_model(config)),
        memory_(config, batch, device),
        costs_(block_costs(summary_, device)),
        levels_(costs_.size(), kRebuildLean) {
    expect(static_cast<int>(costs_.size()) == memory_.blocks(),
           "memory plan: {} blocks summarised, {} in the network", costs_.size(), memory_.blocks());
  }

  int64_t peak_of_all(int level) {
    std::fill(levels_.begin(), levels_.end(), level);
    return peak();
  }

  /// Raises blocks from the lowest level, those first that save the most time for their bytes; of
  /// equal ones the last, which backward passes reach first.
  void fill(int64_t budget) {
    peak_of_all(kRebuildLean);
    for (const int level : {kStoreLean, kStore, kRebuild})
      for (const size_t block : by_worth(level)) raise(block, level, budget);
  }

  MemoryPlan plan(int64_t batch) {
    MemoryPlan plan;
    plan.policies = policies();
    plan.batch = batch;
    plan.peak_bytes = peak();
    plan.copy_bytes = memory_.copies();
    double again = 0.0;
    for (size_t i = 0; i < costs_.size(); ++i)
      if (levels_[i] < kStoreLean) again += static_cast<double>(costs_[i].multiply_adds);
    plan.recomputed = again / static_cast<double>(std::max<int64_t>(1, summary_.multiply_adds));
    return plan;
  }

 private:
  std::vector<size_t> by_worth(int level) const {
    std::vector<size_t> order(costs_.size());
    std::iota(order.rbegin(), order.rend(), size_t{0});
    const auto worth = [&](size_t i) {
      return (costs_[i].of[kRebuildLean] - costs_[i].of[level]) /
             static_cast<double>(costs_[i].lean_bytes);
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return worth(a) > worth(b); });
    return order;
  }

  void raise(size_t block, int level, int64_t budget) {
    const int before = levels_[block];
    if (costs_[block].of[level] >= costs_[block].of[before]) return;
    levels_[block] = level;
    if (peak() > budget) levels_[block] = before;
  }

  std::vector<BlockPolicy> policies() const {
    std::vector<BlockPolicy> policies;
    for (size_t i = 0; i < levels_.size(); ++i)
      policies.push_back(policy_of(levels_[i], summary_.config.family, costs_[i].has_norms));
    return policies;
  }
  int64_t peak() { return memory_.peak(policies()); }

  ModelSummary summary_;
  StepMemory memory_;
  std::vector<BlockCost> costs_;
  std::vector<int> levels_;
};

}  // namespace

int64_t largest_batch(int64_t batch, const std::function<bool(int64_t batch)>& fits) {
  int64_t known = 0;
  while (batch - known > 1) {
    const int64_t middle = known + (batch - known) / 2;
    (fits(middle) ? known : batch) = middle;
  }
  return known;
}

double multiply_adds_per_byte(Device device) { return device.is_cpu() ? 8.0 : 90.0; }

StepMemory::StepMemory(const ModelConfig& config, int64_t batch, Device device)
    : model_(build_model(config)) {
  expect(batch >= 1, "memory plan: expected a batch of at least 1, got {}", batch);
  model_->materialise_meta(device);
  const int64_t size = config.image_size;
  images_ =
      Tensor::empty({batch, size, size, config.channels}, DType::f32, Tag::data, device.as_meta());
  targets_ = Tensor::empty({batch, config.classes}, DType::f32, Tag::data, device.as_meta());
  parameter_bytes_ = Allocator::of(images_.device()).stats().current_of(Tag::parameters);
}

StepMemory::~StepMemory() = default;

int StepMemory::blocks() const { return model_->policy_blocks(); }

int64_t StepMemory::peak(const std::vector<BlockPolicy>& policies) {
  model_->set_policies(policies);
  Allocator& allocator = Allocator::of(images_.device());
  allocator.reset_peaks();
  model_->forward_backward(images_, targets_, {});
  return allocator.stats().peak_activations;
}

int64_t StepMemory::copies() const {
  return Allocator::of(images_.device()).stats().current_of(Tag::parameters) - parameter_bytes_;
}

MemoryRequest MemoryRequest::parse(const std::string& text) {
  if (text == "min") return {Kind::min};
  if (text == "max") return {Kind::max};
  if (text == "auto") return {Kind::automatic};
  if (text.empty() || text[0] < '0' || text[0] > '9')
    fail(ErrorKind::usage, "expected auto, min, max or bytes such as 512MiB, got '{}'", text);
  return {Kind::bytes, parse_bytes(text)};
}

std::string MemoryRequest::text() const {
  if (kind == Kind::bytes) return std::to_string(bytes);
  return kind == Kind::min ? "min" : kind == Kind::max ? "max" : "auto";
}

bool MemoryPlan::rebuilds() const {
  return std::ranges::any_of(
      policies, [](const BlockPolicy& p) { return p.policy != ActivationPolicy::store; });
}

std::string MemoryPlan::summary() const {
  int64_t stored = 0;
  int64_t lean = 0;
  bool inverted = false;
  for (const BlockPolicy& p : policies) {
    stored += p.policy == ActivationPolicy::store && !p.lean ? 1 : 0;
    lean += p.policy == ActivationPolicy::store && p.lean ? 1 : 0;
    inverted = inverted || p.policy == ActivationPolicy::invert;
  }
  const auto all = static_cast<int64_t>(policies.size());
  if (stored == all) return "all blocks stored";
  std::string text = fmt::format("of {} blocks {} stored", all, stored);
  if (lean > 0) text += fmt::format(", {} stored lean", lean);
  if (all > stored + lean)
    text += fmt::format(", {} {}; {:.0f} % of the forward pass run again", all - stored - lean,
                        inverted ? "inverted" : "recomputed", 100.0 * recomputed);
  return text;
}

MemoryPlan plan_memory(const ModelConfig& config, int64_t batch, Device device,
                       const MemoryRequest& request) {
  using Kind = MemoryRequest::Kind;
  Planner planner(config, batch, device);
  if (request.kind == Kind::min) planner.peak_of_all(kRebuildLean);
  if (request.kind == Kind::max) planner.peak_of_all(kStore);
  if (request.kind == Kind::automatic)
    planner.fill(
        std::llround(kAutomaticShare * static_cast<double>(planner.peak_of_all(kRebuild))));
  if (request.kind == Kind::bytes) {
    const int64_t least = planner.peak_of_all(kRebuildLean);
    if (least > request.bytes) {
      const BlockPolicy least_policy = policy_of(kRebuildLean, config.family, true);
      const int64_t fits = largest_batch(batch, [&](int64_t smaller) {
        return StepMemory(config, smaller, device).peak({least_policy}) <= request.bytes;
      });
      fail(ErrorKind::environment,
           "--activation-memory: {} do not suffice for batches of {}: the least is {}; {}",
           format_bytes(request.bytes), batch, format_bytes(least),
           fits > 0 ? fmt::format("batches of {} fit", fits) : "not even one image fits");
    }
    planner.fill(request.bytes);
  }
  return planner.plan(batch);
}

}  // namespace pal
