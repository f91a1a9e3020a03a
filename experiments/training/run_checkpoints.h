#pragma once
#include <string>

#include "experiments/training/run_state.h"
#include "experiments/training/train_setup.h"
#include "layers/checkpoint/run_folder.h"

namespace pal {

/// The checkpoints of a run: written from its model, optimizer and state, and read back into them.
class RunCheckpoints {
 public:
  /// Keeps references to all three.
  RunCheckpoints(TrainSetup& setup, RunState& state, const RunFolder& folder)
      : setup_(setup), state_(state), folder_(folder) {}

  /// Goes on from the checkpoint that the options name; with `auto` from the newest of the folder,
  /// if there is one. Cuts metrics.jsonl back to its step. Throws as `check_resume`.
  void resume();
  /// Writes checkpoints/`name`.safetensors. Throws numerics if the weights are not finite: the
  /// checkpoint before a failure must stay the newest.
  void save(const std::string& name);
  /// Points the link checkpoints/best to `name`.safetensors.
  void link_best(const std::string& name);
  /// Writes step-N, points the link `last` to it and removes older ones; lists bad pictures.
  void save_step();
  /// Weights and momentum of the checkpoint that the link `best` names.
  void load_best();

 private:
  void write(const std::string& path);

  TrainSetup& setup_;
  RunState& state_;
  const RunFolder& folder_;
};

}  // namespace pal
