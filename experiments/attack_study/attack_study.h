#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/attack_study/attack_cell.h"
#include "experiments/attack_study/attack_options.h"
#include "experiments/attack_study/attack_trace.h"
#include "experiments/attack_study/attacked_images.h"

namespace pal {

/// One attack on one model, done.
struct AttackRun {
  AttackSetting setting;
  AttackCell cell;
  /// Under --transfer: whether this model takes the images that the same attack made of another
  /// (by its label) for what they shall be taken for, 1 or 0 for each image.
  std::map<std::string, std::vector<double>> transferred;
};

/// All that is known of one model after a study.
struct AttackedModelStudy {
  std::string checkpoint;  ///< path
  std::string label;       ///< short, different from the other models'
  std::string digest;
  std::optional<double> beta;
  bool has_density = false;
  bool calibrated = false;  ///< familiarity is known
  std::string dataset;
  std::vector<std::string> class_names;
  std::vector<double> reference;     ///< densities of training images; empty without a density
  std::vector<int32_t> image_label;  ///< of the images, the model's classes
  JudgedImages clean;                ///< the images as they are; margins are to their targets
  std::vector<AttackRun> runs;       ///< in the order of the settings that suit the model
  std::vector<std::vector<AttackRun>> curve;  ///< for each radius
  /// Of the first images, under the first cw setting; known to the first rank alone.
  std::vector<AttackTrace> traces;
  std::vector<std::string> left_out;  ///< settings that need a density, by name
};

/// A study of all models.
struct AttackStudy {
  OriginalImages originals;  ///< as the first model reads them
  std::vector<AttackedModelStudy> models;
};

/// Attacks every model under every setting; what lies in the folder of results already is not done
/// again. Ranks share the batches of all attacks and all know the results, which are those of one
/// process, bit for bit. Throws usage or data for models, images and targets that do not fit each other, before
/// anything is attacked.
AttackStudy study_attacks(const AttackOptions& options, Device device);

}  // namespace pal
