#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "experiments/classify/classify_options.h"
#include "experiments/classify/picture_request.h"
#include "experiments/explain/position_head.h"
#include "experiments/trust/model_calibration.h"
#include "layers/models/model_io.h"

namespace pal {

/// What is said of one picture.
struct Answer {
  std::optional<std::string> file;     ///< its name; none of a picture that came itself
  std::string id;                      ///< JSON of the request, to be repeated; empty: none
  std::string error;                   ///< why it could not be read; then nothing below counts
  std::vector<double> posterior;       ///< q(y|x), at the temperature if there is a calibration
  double entropy = 0.0;                ///< of the posterior, nats
  std::optional<double> bits_per_dim;  ///< a model with a density only
  std::optional<std::vector<int32_t>> classes;  ///< the set; without calibration none
  std::optional<Familiarity> familiarity;       ///< without calibration or density none

  /// What people are told it is called, on one line.
  std::string name() const;
  int32_t predicted() const;
  /// The p-value of the attack detector; without calibration or density none.
  std::optional<double> attack_p() const;
};

/// Which of the four cases a generative classifier tells apart an answer is (the paper's Fig. 1).
enum class Verdict : uint8_t {
  unknown,          ///< no calibration
  sure,             ///< familiar, and one class is likely enough
  torn,             ///< familiar, but several classes are possible, or none is likely
  unfamiliar,       ///< unlike what was learned, whatever class it is taken for
  unfamiliar_torn,  ///< both
};
/// "sure", "torn", "unfamiliar", "unfamiliar and torn", or "unknown".
const char* name_of(Verdict verdict);

/// A trained model that answers for single pictures.
class Classifier {
 public:
  /// Loads the model and what belongs to it onto the device; warns if there is no calibration.
  /// Throws as load_model and ModelCalibration::load.
  Classifier(const ClassifyOptions& options, Device device);

  const std::vector<std::string>& class_names() const { return class_names_; }
  const std::optional<ModelCalibration>& calibration() const { return calibration_; }

  /// One answer for each request, in order; pictures that cannot be read have an error instead.
  std::vector<Answer> classify(const std::vector<PictureRequest>& requests);
  Verdict verdict(const Answer& answer) const;
  /// Whether the density is as unusual as that of an attacked, or otherwise changed, picture may be:
  /// attack_p below --warn-below (attack_detector.h). Apart from the verdict.
  bool attack_flagged(const Answer& answer) const;

 private:
  void find_calibration();
  /// The picture of a request as the network sees it, in 8-bit levels. Throws what is wrong.
  void read_picture(const PictureRequest& request, std::span<uint8_t> levels) const;
  /// Writes the maps of images [n, h, w, c] of these answers, as `file` has them.
  void draw_heatmaps(const Tensor& images, const std::vector<const Answer*>& answers);

  const ClassifyOptions& options_;
  LoadedModel loaded_;
  std::string digest_;  // of the model
  std::vector<std::string> class_names_;
  std::optional<ModelCalibration> calibration_;
  TransformSpec transform_;
  std::optional<PositionHead> positions_;  // for heatmaps
  int64_t drawn_ = 0;
};

}  // namespace pal
