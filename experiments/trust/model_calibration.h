#pragma once
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "experiments/measures/conformal.h"
#include "experiments/trust/trust_scores.h"

namespace pal {

/// How familiar an image is: p-values of tests that held-out images bear out (experiments/measures/README.md,
/// 12), each at most a with at most a share a of images like those.
struct Familiarity {
  double p = 1.0;           ///< of the three together: min(1, 3 min)
  double density = 1.0;     ///< too high or too low a density; alone, the paper's attack detector
  double complexity = 1.0;  ///< too low a density for so simple an image
  double entropy = 1.0;     ///< too undecided between classes
};

/// How pictures became the images that a model saw.
struct Reading {
  int64_t resize = 0;  ///< shorter side before the middle square is cut out, in pixels
  bool exif = false;   ///< turned upright by their EXIF orientation

  bool operator==(const Reading&) const = default;
};

/// What held-out images teach about a model's answers: a temperature, sets of classes that hold the
/// right one as often as they say, and p-values of familiarity.
class ModelCalibration {
 public:
  /// The least number of held-out images.
  static constexpr int64_t kFewest = 100;
  /// Shares of images whose set of classes shall hold the right one.
  static constexpr double kLevels[] = {0.90, 0.95, 0.99};

  /// Of held-out images that were read as `reading` says. Throws usage for fewer than kFewest.
  static ModelCalibration fit(const TrustScores& held_out, const Reading& reading);

  int64_t count() const { return label_scores_.count(); }
  double temperature() const { return temperature_; }
  const Reading& reading() const { return reading_; }
  bool has_density() const { return density_.has_value(); }
  /// The least p that an image can get.
  double least_p() const;
  /// The least p-value of the density that an image can get.
  double least_density_p() const { return 2.0 / static_cast<double>(count() + 1); }

  /// q(y|x) at the temperature, of class scores.
  std::vector<double> posterior(std::span<const double> scores) const;
  /// The classes, likeliest first, whose tempered posterior is high enough that a set so made holds
  /// the right one for the share `level` of images; may be empty, and all classes where the
  /// held-out images are too few for the level (Sadinle, Lei, Wasserman 2019).
  std::vector<int32_t> class_set(std::span<const double> posterior, double level) const;
  /// The p-values of an image; log_density and excess as in TrustScores. Throws usage for a model
  /// without a density.
  Familiarity familiarity(double log_density, double excess,
                          std::span<const double> posterior) const;

  /// Writes a safetensors file (experiments/measures/README.md, 12), atomically. Throws environment.
  void save(const std::string& path, const std::map<std::string, std::string>& metadata) const;
  /// Throws data naming `path` for a file that is broken, of another kind or of other weights than
  /// those of `digest` (empty: any).
  static ModelCalibration load(const std::string& path, const std::string& digest);
  /// That of the file `given`, or if that is empty of the file `usual`, if there is one. Throws as
  /// `load`.
  static std::optional<ModelCalibration> find(const std::string& usual, const std::string& given,
                                              const std::string& digest);

 private:
  ModelCalibration(const Reading& reading, double temperature, ConformalScores label_scores,
                   ConformalScores entropy)
      : reading_(reading),
        temperature_(temperature),
        label_scores_(std::move(label_scores)),
        entropy_(std::move(entropy)) {}

  Reading reading_;
  double temperature_;
  ConformalScores label_scores_;  // 1 - tempered posterior of the label
  ConformalScores entropy_;
  std::optional<ConformalScores> density_;
  std::optional<ConformalScores> excess_;
};

/// Entropy of a posterior, nats.
double entropy_of(std::span<const double> posterior);

/// What a calibration belongs to: 32 hex digits of the model's tensors, whatever file holds them,
/// and of the normalisation of its inputs.
std::string model_digest(const LoadedModel& loaded);

/// Where a checkpoint's calibration lies: calibration/DIGEST.safetensors in its run folder, or
/// beside it where it lies in none.
std::string calibration_path(const std::string& checkpoint, const std::string& digest);

}  // namespace pal
