#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "experiments/attack_study/attack_cell.h"
#include "experiments/attacks/attack_setting.h"
#include "experiments/evaluation/checkpoint_evaluation.h"
#include "experiments/measures/ood_score.h"

namespace pal {

/// The images that are attacked, as one model reads them: levels of 8 bits over 255, no noise.
struct OriginalImages {
  Tensor images;                ///< f32 [n, h, w, c] in [0, 1], on the CPU
  std::vector<int64_t> index;   ///< in the data set
  std::vector<int32_t> label;   ///< the model's class
  std::vector<int32_t> target;  ///< another class of the model

  int64_t count() const { return static_cast<int64_t>(index.size()); }
};

/// Reads the images that a model is evaluated on, all into memory. Targets stay empty.
OriginalImages read_originals(const CheckpointEvaluation::Images& from, const LoadedModel& loaded);

/// What judges attacked images of one model.
struct AttackJudge {
  Model& model;
  const InputSpec& input;
  AttackedNetwork& attacked;
  const ModelCalibration* calibration = nullptr;  ///< null: no familiarity
};

/// What a model says of images in [0, 1] on its device. Where its answer is not finite the class is
/// -1, p is 0 and the goal is not reached.
struct JudgedImages {
  std::vector<double> answer, confidence, entropy, density, familiarity;
  std::vector<double> margin;  ///< towards the goals

  void append(const JudgedImages& other);
  /// For other ranks.
  void add_to(Message& message) const;
  static JudgedImages from(Message& message);
};
JudgedImages judge_images(const AttackJudge& judge, const Tensor& images,
                          const std::vector<AttackGoal>& goals);

/// All that is known of a batch after an attack; `first` is its place among the originals. The
/// picture of each result, which went through a PNG, is judged too, and random noise of the size of
/// each change.
AttackCell judge_attack(const AttackJudge& judge, const OriginalImages& originals, int64_t first,
                        const AttackSetting& setting, const AttackBatch& batch,
                        const AttackResult& result);

/// Writes the picture of each image of a cell into a folder, which is made: PNG files named by the
/// places in the data set. Throws environment.
void write_pictures(const std::string& folder, const AttackCell& cell);

}  // namespace pal
