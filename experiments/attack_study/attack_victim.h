#pragma once
#include <memory>
#include <string>

#include "experiments/attack_study/attack_study.h"

namespace pal {

/// A model of a study with what attacks it and judges the results.
struct Victim {
  std::unique_ptr<CheckpointEvaluation> evaluation;
  std::unique_ptr<AttackedNetwork> attacked;
  OriginalImages originals;
  double median = 0.0;        ///< of ln q(x) / D over training images
  std::string calibrated_by;  ///< what familiarity in cells depends on, in words
  AttackedModelStudy study;

  /// Fills what is known of the model that `evaluation` has loaded; `label` names files.
  void describe(const std::string& checkpoint, const std::string& label);

  Model& model() const { return *evaluation->loaded().model; }
  /// Why the model cannot be attacked so; empty: it can.
  std::string lack(const AttackSetting& setting) const;
  bool suits(const AttackSetting& setting) const { return lack(setting).empty(); }

  /// At most `most` images from `first` on, and what is wanted of them, on the model's device.
  AttackBatch batch(int64_t first, int64_t most, bool targeted) const;
  AttackJudge judge() const;
};

/// Judges every model on the images that the same attacks made of the others, for
/// AttackRun::transferred; `ranks`, which may be null, share the batches of `batch_size` images.
void judge_transfers(std::vector<Victim>& victims, int64_t batch_size, Communicator* ranks);

}  // namespace pal
