#include "layers/training/schedule.h"

#include <algorithm>
#include <cmath>

namespace pal {

double schedule_factor(const ScheduleSpec& spec, const PlateauState& plateau, int64_t step) {
  const double warm =
      spec.warmup_steps > 0
          ? std::min(1.0, static_cast<double>(step + 1) / static_cast<double>(spec.warmup_steps))
          : 1.0;
  const double progress = std::clamp(
      static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, spec.total_steps)), 0.0,
      1.0);
  switch (spec.kind) {
    case ScheduleKind::constant:
      return warm;
    case ScheduleKind::cosine:
      return warm * 0.5 * (1.0 + std::cos(M_PI * progress));
    case ScheduleKind::one_cycle:
      return warm * std::min(1.0, (1.0 - progress) / (1.0 - spec.decay_from));
    case ScheduleKind::step: {
      const auto passed = std::count_if(spec.milestones.begin(), spec.milestones.end(),
                                        [&](double at) { return progress >= at; });
      return warm * std::pow(0.1, static_cast<double>(passed));
    }
    case ScheduleKind::plateau:
      break;
  }
  return warm * std::pow(0.1, static_cast<double>(plateau.drops));
}

double finetune_factor(const ScheduleSpec& spec, const PlateauState& plateau, int64_t step,
                       int64_t steps) {
  if (spec.kind != ScheduleKind::cosine && spec.kind != ScheduleKind::one_cycle)
    return schedule_factor(spec, plateau, spec.total_steps + step);
  ScheduleSpec again = spec;
  again.total_steps = steps;
  again.warmup_steps = 0;
  return schedule_factor(again, plateau, step);
}

void observe(const ScheduleSpec& spec, PlateauState& plateau, double loss) {
  if (spec.kind != ScheduleKind::plateau) return;
  const double margin = 0.001 * std::max(std::abs(plateau.best), 0.1);
  if (!plateau.has_best || plateau.best - loss > margin) {
    plateau.best = loss;
    plateau.has_best = true;
    plateau.bad_epochs = 0;
    return;
  }
  if (++plateau.bad_epochs < spec.patience) return;
  plateau.bad_epochs = 0;
  if (plateau.drops >= spec.most_drops)
    plateau.finished = true;
  else
    ++plateau.drops;
}

}  // namespace pal
