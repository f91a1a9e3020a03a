#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "experiments/trust/estimate.h"
#include "experiments/trust/model_calibration.h"

namespace pal {

/// Whether a calibration keeps its promises on other images (experiments/measures/README.md, 12).
struct TrustReport {
  std::string file;      ///< of the calibration
  int64_t held_out = 0;  ///< images that it was fitted to
  int64_t images = 0;    ///< on which it is tried
  double temperature = 1.0;
  Estimate nll, nll_tempered;  ///< nats
  Estimate ece, ece_tempered;  ///< top label
  struct Set {
    double level = 0.0;
    double coverage = 0.0;  ///< share of images whose set holds the label
    double error = 0.0;     ///< standard error of both samples: sqrt(a(1-a)(1/held_out + 1/images))
    double mean_size = 0.0;  ///< classes
  };
  std::vector<Set> sets;
  struct Unfamiliar {
    double p = 0.0;
    double share = 0.0;  ///< of images with a familiarity p-value of at most p
  };
  std::vector<Unfamiliar> unfamiliar;  ///< none for a model without a density
};

/// The familiarity p-value of each image. Throws usage for a model without a density.
std::vector<double> familiarity_of(const ModelCalibration& calibration, const TrustScores& scores);

/// Tries a calibration on scores of images that it was not fitted to.
TrustReport try_calibration(const ModelCalibration& calibration, const TrustScores& scores);

}  // namespace pal
