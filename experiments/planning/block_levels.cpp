#include "experiments/planning/block_levels.h"

#include <algorithm>
#include <utility>

namespace pal {
namespace {

// The coupling reads the stream and its factors and writes the stream, in float32; so does what
// rebuilds its input.
constexpr double kStreamBytes = 12.0;
// A stem runs once more for the statistics of the norm behind it, and twice in the backward pass.
constexpr int64_t kStemRuns = 3;

/// What is done once more.
struct Extra {
  int64_t multiply_adds = 0;
  double bytes = 0.0;
};

double weighed(const Extra& work, double per_byte) {
  return static_cast<double>(work.multiply_adds) + per_byte * work.bytes;
}

int64_t result_bytes(const SubnetSummary& subnet, size_t layer) {
  const bool last = layer + 1 == subnet.layers.size();
  return last ? subnet.output_bytes : subnet.layers[layer + 1].kept_bytes;
}

void add_layer(const SubnetSummary& subnet, size_t layer, int64_t times, Extra& work) {
  const LayerSummary& row = subnet.layers[layer];
  work.multiply_adds += times * row.multiply_adds;
  work.bytes += static_cast<double>(times * (row.kept_bytes + result_bytes(subnet, layer)));
}

bool is_remade(const LayerSummary& layer, Remade remade) {
  return layer.remade != Remade::nothing && layer.remade <= remade;
}

void add_run(const SubnetSummary& subnet, Extra& work) {
  for (size_t i = 0; i < subnet.layers.size(); ++i) add_layer(subnet, i, 1, work);
}

/// What a tape without some of its tensors costs.
void add_remade(const SubnetSummary& subnet, Remade remade, Extra& work) {
  for (size_t i = 0; i < subnet.layers.size(); ++i) {
    const LayerSummary& layer = subnet.layers[i];
    if (!is_remade(layer, remade)) continue;
    add_layer(subnet, i, layer.remade == Remade::stem && layer.multiply_adds > 0 ? kStemRuns : 1,
              work);
    // A convolution that runs again takes the norm before it along.
    if (layer.remade == Remade::widened && i > 0) add_layer(subnet, i - 1, 1, work);
  }
}

/// What a subnet's tape holds, without its input.
int64_t tape_bytes(const SubnetSummary& subnet, Remade remade) {
  int64_t bytes = subnet.output_bytes;
  for (size_t i = 0; i + 1 < subnet.layers.size(); ++i)
    if (!is_remade(subnet.layers[i], remade)) bytes += result_bytes(subnet, i);
  return bytes;
}

bool form_matters(const BlockSummary& block, TapeForm form) {
  const auto is_changed = [&](const LayerSummary& layer) {
    return form == TapeForm::narrow ? layer.remade == Remade::widened
                                    : layer.remade != Remade::nothing;
  };
  return form == TapeForm::full || std::ranges::any_of(block.subnets, [&](const auto& subnet) {
           return std::ranges::any_of(subnet.layers, is_changed);
         });
}

/// Whether a planner may choose the policy for the block, where others do with `rebuilding`.
bool is_possible(const BlockSummary& block, ActivationPolicy policy, ActivationPolicy rebuilding) {
  if (policy == ActivationPolicy::store || policy == rebuilding) return true;
  const bool can_invert = !keeps_input(rebuilding);
  if (policy == ActivationPolicy::tapes) return can_invert && !block.subnets.empty();
  return policy == ActivationPolicy::last_tape && can_invert && block.subnets.size() > 1;
}

}  // namespace

double worth(const BlockLevel& from, const BlockLevel& to) {
  return (from.extra_work - to.extra_work) / static_cast<double>(to.kept_bytes - from.kept_bytes);
}

ActivationPolicy rebuilding_policy(ModelFamily family) {
  return family == ModelFamily::flow ? ActivationPolicy::invert : ActivationPolicy::recompute;
}

BlockLevel level_of(const BlockSummary& block, BlockPolicy policy, double per_byte) {
  BlockLevel level{.policy = policy};
  Extra work;
  if (keeps_input(policy.policy))
    level.kept_bytes += 4 * block.input.numel();
  else
    work.bytes += kStreamBytes * static_cast<double>(block.input.numel());
  for (size_t i = 0; i < block.subnets.size(); ++i) {
    const SubnetSummary& subnet = block.subnets[i];
    const bool kept = keeps_tape(policy.policy, i + 1 == block.subnets.size());
    const Remade remade = remade_of(policy.form, kept ? Remade::nothing : Remade::stem);
    if (kept) {
      level.kept_bytes += tape_bytes(subnet, remade);
      // The first subnet's input is a part of the block's.
      if (keeps_input(policy.policy) && i > 0) level.kept_bytes += subnet.layers[0].kept_bytes;
    } else {
      add_run(subnet, work);
    }
    add_remade(subnet, remade, work);
  }
  level.recomputed = work.multiply_adds;
  level.extra_work = weighed(work, per_byte);
  return level;
}

std::vector<BlockLevel> possible_levels(const BlockSummary& block, ModelFamily family,
                                        double per_byte) {
  const ActivationPolicy rebuilding = rebuilding_policy(family);
  const TapeForm lean = form_matters(block, TapeForm::lean) ? TapeForm::lean : TapeForm::full;
  std::vector<BlockLevel> levels = {level_of(block, {rebuilding, lean}, per_byte)};
  for (const ActivationPolicy policy : kActivationPolicies)
    for (const TapeForm form : kTapeForms) {
      // A tape that is made for its backward pass alone need not be narrow.
      const bool useful =
          form_matters(block, form) && (keeps_tape(policy, true) || form == TapeForm::full);
      if (useful && is_possible(block, policy, rebuilding))
        levels.push_back(level_of(block, {policy, form}, per_byte));
    }
  return levels;
}

std::vector<BlockLevel> best_levels(std::vector<BlockLevel> possible) {
  std::vector<BlockLevel> best = {possible.front()};
  // The lower convex hull, step by step: on from each level to what saves most for its bytes.
  while (true) {
    const BlockLevel from = best.back();
    std::erase_if(possible, [&](const BlockLevel& level) {
      return level.extra_work >= from.extra_work || level.kept_bytes <= from.kept_bytes;
    });
    if (possible.empty()) return best;
    best.push_back(*std::ranges::max_element(possible, {}, [&](const BlockLevel& level) {
      return std::pair(worth(from, level), -level.kept_bytes);
    }));
  }
}

double forward_work(const BlockSummary& block, double per_byte) {
  Extra work;
  for (const SubnetSummary& subnet : block.subnets) add_run(subnet, work);
  work.bytes += kStreamBytes * static_cast<double>(block.input.numel());
  return weighed(work, per_byte);
}

}  // namespace pal
