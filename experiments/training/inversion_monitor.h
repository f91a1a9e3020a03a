#pragma once
#include <cstdint>

#include "experiments/training/train_setup.h"

namespace pal {

/// Watches how well blocks are rebuilt from their outputs: now and then one random block keeps its
/// true input for a step, and the relative error ||x' - x|| / ||x|| is judged.
class InversionMonitor {
 public:
  /// Keeps a reference.
  explicit InversionMonitor(const TrainSetup& setup) : setup_(setup) {}

  /// Lets the coming step, counted from 0, be watched if its turn has come. Returns
  /// whether it is watched.
  bool watch(int64_t step);
  /// Takes over what a step measured; nothing if that is of no block.
  void record(const InversionCheck& check);
  /// Judges what was recorded last, after a step counted from 1. Warns above 1e-3 (2e-2 in bf16);
  /// throws numerics, naming step and block, above 1e-1 unless the options say to go on.
  void judge(int64_t step) const;
  /// What was recorded last; block -1 before the first.
  const InversionCheck& last() const { return last_; }
  /// The largest relative error so far.
  double worst() const { return worst_; }

 private:
  const TrainSetup& setup_;
  InversionCheck last_;
  double worst_ = 0.0;
};

}  // namespace pal
