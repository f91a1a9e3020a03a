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
  /// Judges the last check, after a step counted from 1. Warns above 1e-3 (2e-2 in bf16); throws
  /// numerics, naming step and block, above 1e-1 unless the options say to go on.
  void judge(int64_t step);
  /// The largest relative error so far.
  double worst() const { return worst_; }

 private:
  const TrainSetup& setup_;
  double worst_ = 0.0;
};

}  // namespace pal
