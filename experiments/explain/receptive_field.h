#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "layers/models/model.h"

// The effective receptive field (Luo et al. 2016; the paper's Fig. 13): how much the final feature
// column at the centre depends on each pixel (experiments/measures/README.md, 15).
namespace pal {

/// How the sensitivity is measured.
struct ReceptiveFieldSpec {
  int64_t channels = 0;  ///< features that are differentiated, drawn at random; 0: all
  uint64_t seed = 0;     ///< of that draw
  /// Called after each backward pass: how many were made, of how many.
  std::function<void(int64_t, int64_t)> progress;
};

/// The sensitivity of the features at the centre to the pixels around it.
struct ReceptiveField {
  int64_t side = 0;      ///< pixels in a row
  int64_t map = 0;       ///< positions of the feature map in a row; the centre is map / 2
  int64_t features = 0;  ///< channels of the feature map
  int64_t channels = 0;  ///< of them differentiated
  /// [side, side]: the mean over images of sum_{c,l} |du_l / dx_{ijc}| over colours c and features
  /// l, in the network's units; where some features were drawn, times features / channels.
  std::vector<double> sensitivity;
};

/// Measures images [n, side, side, c], normalised, on the model's device, with running statistics.
/// One backward pass for each feature and batch; adds to the gradients of the parameters. Throws
/// numerics for a sensitivity that is not finite.
ReceptiveField receptive_field(Model& model, const Tensor& images, const ReceptiveFieldSpec& spec);

/// A line through the maximum of a field: the mean of its row and its column.
struct CrossSection {
  std::vector<double> offset;  ///< pixels from the maximum, ascending
  std::vector<double> sensitivity;
};
CrossSection cross_section(const ReceptiveField& field);

/// Full width at half maximum of a cross-section, in pixels, linear between them; NaN if it does
/// not fall to half on both sides, or is zero.
double full_width_at_half_maximum(const CrossSection& section);

}  // namespace pal
