#pragma once
#include "experiments/training/best_model.h"

namespace pal {

/// How long what is to come will take, by what has been: what --max-time is kept with.
class RunPace {
 public:
  /// Keeps references.
  RunPace(const TrainSetup& setup, const BestModel& best) : setup_(setup), best_(best) {}

  /// What a step took, and the writing of a checkpoint.
  void add_step(double seconds);
  void add_save(double seconds) { save_seconds_ = seconds; }

  /// Of the last steps, in seconds.
  double step_seconds() const { return step_seconds_; }
  double save_seconds() const { return save_seconds_; }
  /// Expected seconds: of a forward pass of so many images, and of a scheduled validation.
  double forward_seconds(int64_t images) const;
  double validation_seconds() const;
  /// Whether --max-time leaves less than so many seconds and what the end takes: a validation, the
  /// averaging of statistics where it `averages`, and the last checkpoints.
  bool out_of_time(double seconds, bool averages) const;

 private:
  bool has_average() const { return setup_.optimizer->average() != nullptr; }

  const TrainSetup& setup_;
  const BestModel& best_;
  double step_seconds_ = 0.0;
  double save_seconds_ = 0.0;
};

}  // namespace pal
