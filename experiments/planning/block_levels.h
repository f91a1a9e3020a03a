#pragma once
#include <vector>

#include "autograd/invertible.h"
#include "experiments/planning/model_summary.h"

// What a block may keep for the backward pass, what that costs in memory, and what doing without it
// costs in time: counted for one sample, never measured.
namespace pal {

/// One way for a block to train.
struct BlockLevel {
  BlockPolicy policy;
  /// About what lives between its forward and its backward pass.
  int64_t kept_bytes = 0;
  /// Multiply-adds that run once more than if everything were kept.
  int64_t recomputed = 0;
  /// Those, and the bytes that are moved once more, as multiply-adds: its time beyond keeping
  /// everything.
  double extra_work = 0.0;
};

/// The level of a block under a policy; `per_byte`: see multiply_adds_per_byte.
BlockLevel level_of(const BlockSummary& block, BlockPolicy policy, double per_byte);

/// Time that `to` saves for each of the bytes that it keeps beyond `from`.
double worth(const BlockLevel& from, const BlockLevel& to);

/// The policy by which blocks of a family keep next to nothing: invert or recompute.
ActivationPolicy rebuilding_policy(ModelFamily family);

/// All that a planner may choose for a block. The first level keeps next to nothing and has lean
/// tapes.
std::vector<BlockLevel> possible_levels(const BlockSummary& block, ModelFamily family,
                                        double per_byte);
/// Those of the levels, in order of memory, that save the most time for their bytes: from the first
/// level on each step saves less time for a further byte than the one before, and what would do worse
/// is left out. The last keeps everything.
std::vector<BlockLevel> best_levels(std::vector<BlockLevel> possible);

/// The time of a block's forward pass, as multiply-adds.
double forward_work(const BlockSummary& block, double per_byte);

}  // namespace pal
