#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace pal {

/// Learning-rate schedules, as factors on the base rate.
enum class ScheduleKind {
  constant,
  step,       ///< divided by 10 at given fractions of the run
  cosine,     ///< half a cosine from 1 to 0 over the run
  one_cycle,  ///< linear warm-up, a plateau, then linear to 0
  plateau,    ///< divided by 10 when the validation loss stops improving
};

/// A learning-rate schedule: its kind and the numbers of each kind.
struct ScheduleSpec {
  ScheduleKind kind = ScheduleKind::plateau;
  /// Steps of the whole run, the horizon of step, cosine and one_cycle.
  int64_t total_steps = 1;
  /// Linear warm-up from 0 over so many steps.
  int64_t warmup_steps = 0;
  /// Fractions of the run at which `step` divides.
  std::vector<double> milestones = {0.6, 0.85};
  /// Fraction of the run from which one_cycle falls.
  double decay_from = 0.4;
  /// Epochs without improvement before `plateau` divides, and how often it may
  /// (experiments/measures/README.md, 9).
  int64_t patience = 4;
  int64_t most_drops = 2;
};

/// State of the plateau rule: it goes into checkpoints.
struct PlateauState {
  double best = 0.0;
  bool has_best = false;
  int64_t bad_epochs = 0;
  int64_t drops = 0;
  /// Set once the last stage has stopped improving.
  bool finished = false;
};

/// Factor on the learning rate at a step counted from 0.
double schedule_factor(const ScheduleSpec& spec, const PlateauState& plateau, int64_t step);

/// The same at step `step`, counted from 0, of a phase of `steps` that follows the run: schedules
/// that end at 0 run once more, without warm-up; the others stay where the run ended.
double finetune_factor(const ScheduleSpec& spec, const PlateauState& plateau, int64_t step,
                       int64_t steps);

/// Takes an epoch's validation loss into account: updates `plateau`. An epoch improves if
///   best - loss > 0.001 * max(|best|, 0.1)
/// (L_X crosses zero, so no plain relative rule). Does nothing under the other schedules: only the
/// plateau rule may end a run early.
void observe(const ScheduleSpec& spec, PlateauState& plateau, double loss);

}  // namespace pal
