#pragma once
#include "experiments/training/run_state.h"
#include "experiments/training/train_setup.h"

namespace pal {

/// While alive, the model holds the average of its weights (--ema) in place of those that train,
/// and the state says so. The setup must keep an average.
class AveragedWeights {
 public:
  AveragedWeights(TrainSetup& setup, RunState& state) : setup_(setup), state_(state) {
    exchange(Weights::ema);
  }
  ~AveragedWeights() { exchange(Weights::raw); }
  AveragedWeights(const AveragedWeights&) = delete;
  AveragedWeights& operator=(const AveragedWeights&) = delete;

 private:
  void exchange(Weights now) {
    setup_.optimizer->average()->exchange();
    setup_.model->refresh();
    state_.weights = now;
  }

  TrainSetup& setup_;
  RunState& state_;
};

}  // namespace pal
