#pragma once
#include "autograd/ops.h"

// Statistics of batch norms in training: those of this process's rows or, synchronised, those of the
// rows of all ranks of a run, as PyTorch's SyncBatchNorm has them.
//
// Forward, ranks exchange 2 channels + 1 numbers a norm, in double: means, squared deviations and
// the number of rows, so that ranks may have different numbers of them. Each combines them in the
// order of the ranks, so all come to the same bits. Where statistics are used again, in a
// recomputation, nothing is exchanged. Backward, the two sums of the gradient of x are added up over
// the ranks, and so is the number of rows; gradients of the norm's weight and bias are of this
// rank's rows alone, to be added up with those of all other parameters.
//
// All ranks measure and differentiate the same norms in the same order, each with at least one row.
// `ranks` is null where they are not synchronised; then all is as if this file did not exist.
namespace pal {

/// Makes `statistics` those of the rows of x.
void measure_norm(const Tensor& x, const BatchStatistics& statistics, Communicator* ranks);
/// The same of `rows` rows, from the sums of batch_norm_sums with this shift.
void measure_norm_of(const Tensor& sums, const Tensor& shift, int64_t rows,
                     const BatchStatistics& statistics, Communicator* ranks);

/// The sums that a batch norm's backward pass takes over all rows.
class NormSums {
 public:
  /// Zeros.
  NormSums(int64_t channels, Communicator* ranks);
  /// [2, channels] f64: of this process, for batch_norm_backward_sums to add to.
  const Tensor& own() const { return own_; }
  /// To be called once own() is complete, which are of `rows` rows.
  void exchange(int64_t rows);
  /// batch_norm_backward_of with these sums, of `rows` rows in this process.
  void backward_of(const Tensor& x, const Tensor& grad_y, const BatchNormArgs& args, bool relu,
                   bool batch_statistics_used, int64_t rows, const BatchNormGrads& grads) const;

 private:
  Communicator* ranks_;
  Tensor own_;
  Tensor scaled_;  // those of all ranks, scaled to the rows of this one; undefined: own_
};

/// batch_norm_backward with statistics that were those of all norm.ranks. They exchange whether or
/// not grads.x is wanted, so that a rank need not know what others want.
void synchronised_norm_backward(const Tensor& x, const Tensor& grad_y, const BatchNormArgs& args,
                                const Norm& norm, const BatchNormGrads& grads);

}  // namespace pal
