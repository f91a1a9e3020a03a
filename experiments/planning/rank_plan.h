#pragma once
#include <string>
#include <vector>

#include "layers/models/config.h"
#include "layers/training/gradient_reducer.h"

namespace pal {

/// What connects each rank of a ring with the next one.
struct Link {
  double bandwidth = 0.0;  ///< bytes per second, sent and received at once
  double latency = 0.0;    ///< seconds before the first byte is there
};

/// A training step of one rank alone, as sums over ranks meet it.
struct RankWork {
  /// What the backward pass has completed after a block: all gradients from place `from` of the
  /// flat buffer on.
  struct Completion {
    std::string block;
    int64_t from = 0;
    double seconds = 0.0;  ///< since the backward pass began
  };
  /// A sum that follows the gradients.
  struct Other {
    std::string what;
    int64_t bytes = 0;
  };

  int64_t gradients = 0;  ///< numbers in the flat buffer, each of 4 bytes
  /// In the order of the backward pass: last blocks first.
  std::vector<Completion> completions;
  std::vector<Other> others;
  double forward = 0.0;  ///< seconds, as those below
  double backward = 0.0;
  double update = 0.0;

  double seconds() const { return forward + backward + update; }
};

/// The way of one sum over ranks. Times are seconds since the backward pass began.
struct PlannedSum {
  std::string what;   ///< "gradients", or that of RankWork::Other
  int64_t begin = 0;  ///< of gradients: the range of the flat buffer
  int64_t end = 0;
  int64_t bytes = 0;
  std::string block;  ///< whose backward pass completes it; empty: known at the end of the pass
  double ready = 0.0;
  double start = 0.0;  ///< when those before it are done, too
  double done = 0.0;
};

/// A training step of one of `ranks` ranks, all of equal work.
struct RankStep {
  int64_t ranks = 1;
  std::vector<PlannedSum> sums;  ///< in the order in which they travel; none for one rank
  int64_t wire_bytes = 0;        ///< that each rank sends in a step, and receives
  double communication = 0.0;    ///< seconds of all sums
  double exposed = 0.0;          ///< of those, seconds after the backward pass
  double seconds = 0.0;          ///< of the step
  /// Images per second, relative to as many ranks that need not talk.
  double efficiency = 1.0;
};

/// Seconds of a sum of so many bytes over a ring: 2 (ranks - 1) rounds, in each of which every rank
/// sends the ranks-th part to the next one.
double ring_seconds(int64_t bytes, const Link& link, int64_t ranks);

/// Predicts a step of `ranks` ranks. Gradients travel as GradientReducer sends them: from the end
/// of the flat buffer, each bucket when it is complete and those before it are done, beside the
/// backward pass; what is left and the other sums follow after it; the update waits for all. Sums
/// are taken to cost the backward pass nothing. Throws usage for numbers that make no sense.
RankStep plan_step(const RankWork& work, const ReductionSpec& reduction, const Link& link,
                   int64_t ranks);

/// The work of a network's step on `batch` images that takes `seconds` on one rank, trained with
/// the automatic plan of activation memory and batch norms of each rank's own. The seconds are
/// shared out by multiply-adds: one forward pass, two of them backward, a third where the block is
/// rebuilt by inversion or recomputation; an update costs the bytes it moves as on a CPU
/// (multiply_adds_per_byte). Throws usage unless the seconds are more than 0.
RankWork rank_work(const ModelConfig& config, int64_t batch, double seconds);

}  // namespace pal
