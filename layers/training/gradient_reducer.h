#pragma once
#include <vector>

#include "layers/models/model.h"
#include "runtime/communicator/communicator.h"

namespace pal {

/// How gradients travel between ranks.
struct ReductionSpec {
  int64_t bucket_bytes = int64_t{25} << 20;  ///< the most that is summed at once
  bool bf16 = false;  ///< as bf16 numbers: half the bytes, partial sums rounded
};

/// Sums the gradients of a model over all ranks in buckets, ranges of the flat buffer, each as soon
/// as the backward pass has completed it: last blocks first, while those before them are still at
/// work. The buckets depend on the model and the spec alone, the order of a sum on them and on the
/// number of ranks.
class GradientReducer {
 public:
  /// Keeps references; the model has its memory, on the device of `ranks`'s tensors. Throws usage
  /// for buckets below 4 bytes.
  GradientReducer(Model& model, Communicator& ranks, const ReductionSpec& spec);
  ~GradientReducer();
  GradientReducer(const GradientReducer&) = delete;
  GradientReducer& operator=(const GradientReducer&) = delete;

  Communicator& ranks() const { return ranks_; }
  /// Before the backward pass that completes the gradients: of the head alone, or of all.
  void begin(bool head_only);
  /// After it: starts what is left, with `others` behind it; what comes after this sees all sums.
  void finish(const std::vector<Tensor>& others);

 private:
  void complete(int64_t from);
  void send(int64_t begin, int64_t end);

  Model& model_;
  Communicator& ranks_;
  int64_t bucket_;  ///< in numbers
  Tensor narrow_;   ///< bf16, as many as there are gradients; undefined: they travel as they are
  bool active_ = false;
  int64_t first_ = 0;  ///< of the gradients that are wanted
  int64_t sent_ = 0;   ///< from here on all are on their way
};

}  // namespace pal
