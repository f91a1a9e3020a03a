#include "experiments/training/run_state.h"
#include "runtime/error.h"
#include "runtime/json.h"

namespace pal {

const char* name_of(Weights weights) { return weights == Weights::raw ? "raw" : "ema"; }

std::string validation_json(const ValidationRecord& record) {
  const nlohmann::ordered_json json = {{"step", record.step},
                                       {"ce", record.ce},
                                       {"acc1", record.acc1},
                                       {"loss_x", record.loss_x},
                                       {"bits_per_dim", record.bits_per_dim}};
  return json_text(json);
}

std::string run_state_json(const RunState& state) {
  const nlohmann::ordered_json json = {
      {"plateau",
       {{"best", state.plateau.best},
        {"has_best", state.plateau.has_best},
        {"bad_epochs", state.plateau.bad_epochs},
        {"drops", state.plateau.drops},
        {"finished", state.plateau.finished}}},
      {"best_entropy", state.best_ce},
      {"best_density", state.best_loss_x},
      {"has_best", state.has_best},
      {"best_entropy_weights", name_of(state.best_ce_weights)},
      {"best_density_weights", name_of(state.best_loss_x_weights)},
      {"guard", parse_ordered_json(state.guard.json())},
      {"finetune_from", state.finetune_from},
      {"validation_due", state.validation_due},
      {"last_validation", parse_ordered_json(validation_json(state.last_validation))}};
  return json_text(json);
}

void read_run_state(const std::string& json, const std::string& path, RunState& state) {
  const auto entries = parse_json(json);
  if (!entries.is_object()) fail(ErrorKind::data, "{}: the entry trainer is not JSON", path);
  try {
    state.best_ce = entries.at("best_entropy");
    state.best_loss_x = entries.at("best_density");
    state.has_best = entries.at("has_best");
    const auto weights = [&entries](const char* key) {
      return entries.value(key, "raw") == "ema" ? Weights::ema : Weights::raw;
    };
    state.best_ce_weights = weights("best_entropy_weights");
    state.best_loss_x_weights = weights("best_density_weights");
    if (const auto guard = entries.find("guard"); guard != entries.end())
      state.guard = GuardState::from_json(json_text(*guard));
    state.finetune_from = entries.value("finetune_from", int64_t{-1});
    state.validation_due = entries.value("validation_due", false);
    if (const auto last = entries.find("last_validation"); last != entries.end())
      state.last_validation = {last->at("step"), last->at("ce"), last->at("acc1"),
                               last->at("loss_x"), last->at("bits_per_dim")};
    const auto& plateau = entries.at("plateau");
    state.plateau = {plateau.at("best"), plateau.at("has_best"), plateau.at("bad_epochs"),
                     plateau.at("drops"), plateau.at("finished")};
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::data, "{}: the entry trainer: {}", path, error.what());
  }
}

}  // namespace pal
