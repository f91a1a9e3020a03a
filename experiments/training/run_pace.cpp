#include "experiments/training/run_pace.h"

#include <chrono>

namespace pal {

void RunPace::add_step(double seconds) {
  // The pace may change within a run, as other processes come and go.
  constexpr double kNewest = 0.3;
  step_seconds_ =
      step_seconds_ == 0.0 ? seconds : (1.0 - kNewest) * step_seconds_ + kNewest * seconds;
}

double RunPace::forward_seconds(int64_t images) const {
  // A forward pass takes about a third of a step.
  constexpr double kForward = 0.4;
  return kForward * step_seconds_ * static_cast<double>(images) /
         static_cast<double>(setup_.options.global_batch);
}

double RunPace::validation_seconds() const {
  const double measured = best_.last_steps() * step_seconds_;
  const auto images = static_cast<int64_t>(setup_.data.validation_images().size());
  const double once = measured > 0.0 ? measured : forward_seconds(images);
  return has_average() ? 2.0 * once : once;
}

bool RunPace::out_of_time(double seconds, bool averages) const {
  const TrainOptions& options = setup_.options;
  if (options.max_time <= 0.0 || step_seconds_ == 0.0) return false;
  const double kinds = has_average() ? 2.0 : 1.0;
  seconds += validation_seconds();
  if (averages) seconds += kinds * forward_seconds(options.recalibrate * options.global_batch);
  // The step checkpoint, `final`, `averaged` and `ema`.
  seconds += (2.0 + kinds) * save_seconds_;
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - setup_.started;
  return passed.count() + seconds >= options.max_time;
}

}  // namespace pal
