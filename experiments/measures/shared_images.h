#pragma once
#include <functional>
#include <span>
#include <vector>

#include "data/sets/dataset.h"
#include "experiments/measures/rank_rounds.h"

namespace pal {

/// Images of a set that the ranks of a run look at together, once, in their order.
struct SharedImages {
  const Dataset& set;
  std::vector<int64_t> indices;   ///< none: all images of the set
  LoaderOptions options;          ///< of evaluation, batches of which one process would see
  Communicator* ranks = nullptr;  ///< between CPU tensors; null: this process alone
  std::function<bool()> stop;     ///< asked before each batch: true ends all ranks' work

  /// Images in all.
  int64_t count() const {
    return indices.empty() ? set.info().count : static_cast<int64_t>(indices.size());
  }
};

/// The labels of a batch that has images.
inline std::span<const int32_t> labels_of(const Batch& batch) {
  return {batch.labels.data<int32_t>(), batch.indices.size()};
}

/// Calls `say` with batches and, on every rank, `take` with what was said of every batch, in the
/// order of the images. The batches are those of one process, dealt out to the ranks in turns, so
/// that whatever is said of one has the same bits for any number of ranks. What either throws on a
/// rank ends the work on all of them, as RankRounds says; Interrupted where `stop` is true on any.
void share_images(const SharedImages& images, const std::function<Message(const Batch&)>& say,
                  const std::function<void(Message&)>& take);

}  // namespace pal
