#include "experiments/training/run_state.h"

#include <algorithm>

#include "experiments/training/train_setup.h"

namespace pal {

bool RunState::main_phase_done(const TrainSetup& setup) const {
  return progress.step >= setup.options.schedule.total_steps || plateau.finished;
}

bool RunState::finished(const TrainSetup& setup) const {
  if (finetuning()) return progress.step >= finetune_from + setup.finetune_steps();
  return main_phase_done(setup) && setup.finetune_steps() == 0;
}

int64_t RunState::planned_steps(const TrainSetup& setup) const {
  const int64_t main = finetuning() ? finetune_from : setup.options.schedule.total_steps;
  return main + setup.finetune_steps();
}

int64_t RunState::last_step(const TrainSetup& setup) const {
  const int64_t most = setup.options.max_steps;
  return most > 0 ? std::min(most, planned_steps(setup)) : planned_steps(setup);
}

}  // namespace pal
