// Chooses for each block one of its levels (block_levels.h).
//
// What a level costs in time is counted. What it costs in memory is found by running the training
// step on a meta device, since the peak is no sum over blocks but the largest total at any moment.
// So the plan is greedy: all blocks begin at their lowest level, and fill() raises those first that
// save the most time for their bytes, as long as the peak of the whole step stays within the budget.
// A block whose next raise does not fit stays where it is, and the others go on; at last what is
// left of the budget is filled with smaller raises.
#include "experiments/planning/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "experiments/planning/block_levels.h"
#include "layers/models/model.h"
#include "runtime/byte_count.h"
#include "runtime/error.h"

namespace pal {
namespace {

// What the automatic plan may need, as a multiple of the peak of rebuilding every block. Half as
// much again is enough to store the later stages of ibinn-imagenet, which leaves a third of the
// forward pass to be run again, and does not grow with depth either.
constexpr double kAutomaticShare = 1.5;

/// Chooses levels so that the peak stays within a budget.
class Planner {
 public:
  Planner(const ModelConfig& config, int64_t batch, Device device)
      : summary_(summarize_model(config)),
        memory_(config, batch, device),
        per_byte_(multiply_adds_per_byte(device)),
        batch_(batch) {
    for (const BlockSummary& block : summary_.blocks) {
      if (!block.has_policy) continue;
      blocks_.push_back(&block);
      levels_.push_back(possible_levels(block, config.family, per_byte_));
      chosen_.push_back(levels_.back().front());
    }
    expect(static_cast<int>(blocks_.size()) == memory_.blocks(),
           "memory plan: {} blocks summarised, {} in the network", blocks_.size(),
           memory_.blocks());
  }

  /// Gives every block the policy, and returns the peak.
  int64_t choose_for_all(ActivationPolicy policy) {
    for (size_t i = 0; i < blocks_.size(); ++i)
      chosen_[i] = level_of(*blocks_[i], policy, per_byte_);
    return peak();
  }
  /// Gives every block its lowest level, and returns the peak.
  int64_t choose_least() {
    for (size_t i = 0; i < blocks_.size(); ++i) chosen_[i] = levels_[i].front();
    return peak();
  }

  /// Raises blocks from the lowest level, those first that save the most time for their bytes; of
  /// equal ones the last, which backward passes reach first. Then fills what is left.
  void fill(int64_t budget) {
    choose_least();
    std::vector<Raise> raises;
    for (size_t i = blocks_.size(); i-- > 0;) {
      const std::vector<BlockLevel> steps = best_levels(levels_[i]);
      for (size_t to = 1; to < steps.size(); ++to)
        raises.push_back({i, steps[to], worth(steps[to - 1], steps[to])});
    }
    raise_within(budget, std::move(raises), true);
    raise_within(budget, small_raises(budget - peak()), false);
  }

  MemoryPlan plan() {
    MemoryPlan plan;
    plan.policies = policies_of(chosen_);
    plan.batch = batch_;
    plan.peak_bytes = peak();
    plan.copy_bytes = memory_.copies();
    int64_t again = 0;
    double extra = 0.0;
    for (const BlockLevel& level : chosen_) {
      again += level.recomputed;
      extra += level.extra_work;
    }
    double forward = 0.0;
    for (const BlockSummary& block : summary_.blocks) forward += forward_work(block, per_byte_);
    plan.recomputed = static_cast<double>(again) /
                      static_cast<double>(std::max<int64_t>(1, summary_.multiply_adds));
    plan.extra_work = extra / forward;
    return plan;
  }

 private:
  struct Raise {
    size_t block;
    BlockLevel to;
    double merit;  // the higher, the earlier it is tried
  };

  /// Raises of single blocks by less than a best level, for the last `bytes` of a budget: those that
  /// save the most time first.
  std::vector<Raise> small_raises(int64_t bytes) const {
    std::vector<Raise> raises;
    for (size_t i = blocks_.size(); i-- > 0;)
      for (const BlockLevel& to : levels_[i])
        if (batch_ * (to.kept_bytes - chosen_[i].kept_bytes) <= bytes)
          raises.push_back({i, to, chosen_[i].extra_work - to.extra_work});
    return raises;
  }

  /// Makes those of the raises with which the peak stays within the budget. `close`: of a block that
  /// has met the budget no further ones are tried.
  void raise_within(int64_t budget, std::vector<Raise> raises, bool close) {
    std::ranges::stable_sort(raises, std::greater(), &Raise::merit);
    while (true) {
      std::erase_if(raises, [&](const Raise& raise) {
        return raise.to.extra_work >= chosen_[raise.block].extra_work;
      });
      if (raises.empty()) return;
      const size_t fitting = count_fitting(budget, raises);
      chosen_ = with(raises, fitting);
      if (fitting == raises.size()) return;
      const size_t full = raises[fitting].block;
      raises.erase(raises.begin(), raises.begin() + static_cast<std::ptrdiff_t>(fitting) + 1);
      if (close) std::erase_if(raises, [&](const Raise& raise) { return raise.block == full; });
    }
  }

  /// How many of the raises, from the first on, fit within the budget: a number that fits where one
  /// more does not. By doubling and halving, since each trial is a step.
  size_t count_fitting(int64_t budget, const std::vector<Raise>& raises) {
    const auto fit = [&](size_t count) { return peak_of(with(raises, count)) <= budget; };
    size_t fitting = 0;
    size_t tried = 1;
    for (; tried <= raises.size() && fit(tried); tried *= 2) fitting = tried;
    for (tried = std::min(tried, raises.size() + 1); tried - fitting > 1;) {
      const size_t middle = fitting + (tried - fitting) / 2;
      (fit(middle) ? fitting : tried) = middle;
    }
    return fitting;
  }

  std::vector<BlockLevel> with(const std::vector<Raise>& raises, size_t count) const {
    std::vector<BlockLevel> levels = chosen_;
    for (size_t i = 0; i < count; ++i) {
      BlockLevel& level = levels[raises[i].block];
      if (raises[i].to.extra_work < level.extra_work) level = raises[i].to;
    }
    return levels;
  }

  static std::vector<BlockPolicy> policies_of(const std::vector<BlockLevel>& levels) {
    std::vector<BlockPolicy> policies;
    for (const BlockLevel& level : levels) policies.push_back(level.policy);
    return policies;
  }
  int64_t peak_of(const std::vector<BlockLevel>& levels) {
    return memory_.peak(policies_of(levels));
  }
  int64_t peak() { return peak_of(chosen_); }

  ModelSummary summary_;
  StepMemory memory_;
  double per_byte_;
  int64_t batch_;
  std::vector<const BlockSummary*> blocks_;  // those with a policy
  std::vector<std::vector<BlockLevel>> levels_;
  std::vector<BlockLevel> chosen_;
};

/// A policy's part in a summary.
std::string treated(const BlockPolicy& policy) {
  switch (policy.policy) {
    case ActivationPolicy::store:
      return policy.form == TapeForm::full ? "stored" : "stored" + name_of(policy).substr(5);
    case ActivationPolicy::recompute:
      return "recomputed";
    case ActivationPolicy::invert:
      return "inverted";
    default:
      return name_of(policy);
  }
}

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
      policies, [](const BlockPolicy& p) { return p != BlockPolicy(ActivationPolicy::store); });
}

std::string MemoryPlan::summary() const {
  // From the most memory to the least.
  std::map<std::pair<ActivationPolicy, TapeForm>, int64_t> counts;
  for (const BlockPolicy& p : policies)
    ++counts[{p.policy, keeps_tape(p.policy, true) ? p.form : TapeForm::full}];
  if (!rebuilds()) return "all blocks stored";
  std::vector<std::string> parts;
  for (const auto& [kept, count] : counts)
    parts.push_back(fmt::format("{} {}", count, treated({kept.first, kept.second})));
  std::string text = fmt::format("of {} blocks {}", policies.size(), fmt::join(parts, ", "));
  if (recomputed >= 0.005)
    text += fmt::format("; {:.0f} % of the forward pass run again", 100.0 * recomputed);
  return text;
}

MemoryPlan plan_memory(const ModelConfig& config, int64_t batch, Device device,
                       const MemoryRequest& request) {
  using Kind = MemoryRequest::Kind;
  Planner planner(config, batch, device);
  const ActivationPolicy rebuilding = rebuilding_policy(config.family);
  if (request.kind == Kind::min) planner.choose_least();
  if (request.kind == Kind::max) planner.choose_for_all(ActivationPolicy::store);
  if (request.kind == Kind::automatic)
    planner.fill(
        std::llround(kAutomaticShare * static_cast<double>(planner.choose_for_all(rebuilding))));
  if (request.kind == Kind::bytes) {
    const int64_t least = planner.choose_least();
    if (least > request.bytes) {
      const BlockPolicy least_policy = {rebuilding, TapeForm::lean};
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
  return planner.plan();
}

}  // namespace pal
