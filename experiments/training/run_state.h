#pragma once
#include <string>

#include "layers/models/model_io.h"
#include "layers/training/schedule.h"
#include "layers/training/step_guard.h"

namespace pal {

struct TrainSetup;

/// What the validation after some step found.
struct ValidationRecord {
  int64_t step = -1;  ///< -1: there was none yet
  double ce = 0.0;    ///< nats
  double acc1 = 0.0;
  double loss_x = 0.0;        ///< nats per dimension; 0 for a ResNet
  double bits_per_dim = 0.0;  ///< 0 for a ResNet
};

/// Of which weights a checkpoint is: those that train, or their average (--ema).
enum class Weights { raw, ema };

/// Where a training run stands, beside its weights and momentum: what a checkpoint holds of it, so
/// that a resumed run goes on as if it had never stopped.
struct RunState {
  Progress progress;
  PlateauState plateau;
  bool has_best = false;
  double best_ce = 0.0;                        ///< lowest validation cross-entropy so far, nats
  double best_loss_x = 0.0;                    ///< lowest validation L_X so far, nats per dimension
  Weights best_ce_weights = Weights::raw;      ///< whose cross-entropy it was
  Weights best_loss_x_weights = Weights::raw;  ///< whose L_X it was
  GuardState guard;                            ///< of the steps up to this one
  /// First step, counted from 0, of the phase that trains the class means alone; -1: not yet.
  int64_t finetune_from = -1;
  ValidationRecord last_validation;
  /// A stop came before the validation that is due at this step.
  bool validation_due = false;
  /// The batch-norm statistics are those of the end, for evaluation. Not part of what is resumed.
  bool averaged = false;
  /// Whose weights the model holds. Not part of what is resumed.
  Weights weights = Weights::raw;

  bool finetuning() const { return finetune_from >= 0; }
  /// Whether the phase that trains the whole network is over: all steps taken, or the plateau rule
  /// ended it.
  bool main_phase_done(const TrainSetup& setup) const;
  /// Whether all phases that the options ask for are over.
  bool finished(const TrainSetup& setup) const;
  /// The last step of the whole run, counted from 1, as far as it is known yet.
  int64_t planned_steps(const TrainSetup& setup) const;
  /// The last step of this process, counted from 1, as far as it is known yet.
  int64_t last_step(const TrainSetup& setup) const;
};

/// "raw" or "ema".
const char* name_of(Weights weights);

/// The record as JSON, as checkpoints keep it for people: {"step", "ce", "acc1", "loss_x",
/// "bits_per_dim"}.
std::string validation_json(const ValidationRecord& record);

/// What of `state` a checkpoint does not already hold as its progress, as JSON.
std::string run_state_json(const RunState& state);

/// Reads `run_state_json` back into all of `state` but its progress. Throws data, naming `path`.
void read_run_state(const std::string& json, const std::string& path, RunState& state);

}  // namespace pal
