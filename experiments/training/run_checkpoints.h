#pragma once
#include <string>

#include "experiments/training/run_state.h"
#include "experiments/training/train_setup.h"
#include "layers/checkpoint/checkpoint.h"
#include "layers/checkpoint/run_folder.h"

namespace pal {

/// The checkpoints of a run: written from its model, optimizer and state, and read back into them.
class RunCheckpoints {
 public:
  /// Keeps references to all three.
  RunCheckpoints(TrainSetup& setup, RunState& state, const RunFolder& folder)
      : setup_(setup), state_(state), folder_(folder) {}

  /// Goes on from the checkpoint that the options name; with `auto` from the newest of the folder.
  /// Returns whether there is one. Throws as `check_resume`, and numerics for numbers that no step
  /// can go on from.
  bool resume();
  /// For a run that goes on in another folder: brings its metrics, its best checkpoints and the one
  /// resumed at. Does nothing in its own.
  void move_in();
  /// What a run that was killed after a checkpoint did not come to: points the links `last` and
  /// `best` to where they must after `resume`, and removes older checkpoints.
  void finish_save();
  /// Makes metrics.jsonl what it was after the step that was resumed at. `was_complete`: the
  /// validation at the end stays, as the run becomes longer.
  void rewind(bool was_complete);
  /// Writes checkpoints/`name`.safetensors. Throws numerics if no step can go on from it: the
  /// checkpoint before a failure must stay the newest.
  void save(const std::string& name);
  /// Points the link checkpoints/best to `name`.safetensors.
  void link_best(const std::string& name);
  bool has(const std::string& name) const;
  /// Writes step-N, points the link `last` to it and removes older ones; lists bad pictures.
  void save_step();
  /// Weights and moments of the checkpoint that the link `best` names.
  void load_best();

 private:
  void read_best();
  /// Points the link checkpoints/last to the step checkpoint `path`.
  void link_last(const std::string& path);
  void write(const std::string& path);
  /// Warns once of what the optimizer keeps that is not finite.
  void warn_of_moments(const Checkpoint& checkpoint, const std::string& when);
  std::string path_of(const std::string& name) const;
  /// For a run that was complete and becomes longer: takes over the best losses from checkpoints
  /// that were chosen at its end.
  void adopt_last_best();

  TrainSetup& setup_;
  RunState& state_;
  const RunFolder& folder_;
  std::string from_;  // the checkpoint resumed at
  bool warned_ = false;
};

}  // namespace pal
