#include "experiments/training/shared_state.h"

#include "runtime/json.h"

namespace pal {
namespace {

std::string progress_json(const Progress& progress) {
  const nlohmann::ordered_json json = {
      {"step", progress.step}, {"epoch", progress.epoch}, {"samples_seen", progress.samples_seen}};
  return json_text(json);
}

}  // namespace

std::string shared_text(Communicator& host, const std::string& text) {
  return all_gather_texts(host, host.rank() == 0 ? text : std::string()).front();
}

bool first_says(TrainSetup& setup, bool value) {
  return any_rank(setup.ranks.host(), setup.ranks.is_first() && value);
}

void share_state(TrainSetup& setup, RunState& state) {
  if (setup.ranks.alone()) return;
  Communicator& host = setup.ranks.host();
  Communicator& tensors = setup.tensors();
  ParameterStore& store = setup.model->parameters();
  tensors.broadcast(store.all_values(), 0);
  tensors.broadcast(store.all_statistics(), 0);
  for (const Buffer& buffer : setup.model->state().buffers)
    if (!buffer.moves) tensors.broadcast(*buffer.tensor, 0);
  for (const FlatState& each : setup.optimizer->flat_states()) {
    tensors.broadcast(each.parameters, 0);
    if (each.statistics.defined()) tensors.broadcast(each.statistics, 0);
  }
  setup.model->refresh();
  const auto progress = parse_json(shared_text(host, progress_json(state.progress)));
  state.progress.step = progress.at("step");
  state.progress.epoch = progress.at("epoch");
  state.progress.samples_seen = progress.at("samples_seen");
  read_run_state(shared_text(host, run_state_json(state)), "rank 0", state);
  setup.optimizer->set_guard(state.guard);
}

}  // namespace pal
