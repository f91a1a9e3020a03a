#include "experiments/training/run_state.h"

#include <algorithm>

#include "experiments/training/train_setup.h"
#include "runtime/error.h"
#include "runtime/json.h"

namespace pal {

bool RunState::main_phase_done(const TrainSetup& setup) const {
  return progress.step >= setup.options.schedule.total_steps || plateau.finished;
}

bool RunState::finished(const TrainSetup& setup) const {
  if (finetuning()) return progress.step >= finetune_from + setup.finetune_steps();
  return main_phase_done(setup) && setup.finetune_steps() == 0;
}

int64_t RunState::last_step(const TrainSetup& setup) const {
  const TrainOptions& options = setup.options;
  const int64_t main = finetuning() ? finetune_from : options.schedule.total_steps;
  const int64_t total = main + setup.finetune_steps();
  return options.max_steps > 0 ? std::min(options.max_steps, total) : total;
}

std::string run_state_json(const RunState& state) {
  const nlohmann::ordered_json json = {{"plateau",
                                        {{"best", state.plateau.best},
                                         {"has_best", state.plateau.has_best},
                                         {"bad_epochs", state.plateau.bad_epochs},
                                         {"drops", state.plateau.drops},
                                         {"finished", state.plateau.finished}}},
                                       {"best_entropy", state.best_ce},
                                       {"best_density", state.best_loss_x},
                                       {"has_best", state.has_best},
                                       {"finetune_from", state.finetune_from}};
  return json_text(json);
}

void read_run_state(const std::string& json, const std::string& path, RunState& state) {
  const auto entries = parse_json(json);
  if (!entries.is_object()) fail(ErrorKind::data, "{}: the entry trainer is not JSON", path);
  try {
    state.best_ce = entries.at("best_entropy");
    state.best_loss_x = entries.at("best_density");
    state.has_best = entries.at("has_best");
    state.finetune_from = entries.value("finetune_from", int64_t{-1});
    const auto& plateau = entries.at("plateau");
    state.plateau = {plateau.at("best"), plateau.at("has_best"), plateau.at("bad_epochs"),
                     plateau.at("drops"), plateau.at("finished")};
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::data, "{}: the entry trainer: {}", path, error.what());
  }
}

}  // namespace pal
