#pragma once
// The paper's own figures (Mackowiak, Ardizzone, Rother, Koethe 2021, "Generative Classifiers as a
// Basis for Trustworthy Image Classification"), to stand beside ours.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "layers/models/config.h"

namespace pal {

/// What its figures were measured on.
inline constexpr const char* kPublishedImages = "ImageNet at 224 x 224, ten crops";

/// A row of its Tables 2 and 6, as printed but for the cross-entropy. None: printed as a dash, or
/// not at all.
struct PublishedEvaluation {
  std::optional<double> beta;  ///< infinity: classes alone; none: ResNet-50
  std::optional<double> loss_x;
  std::optional<double> ce;  ///< the printed L_Y - ln 1000 (experiments/measures/README.md, 10)
  std::optional<double> bits_per_dim;  ///< about 0.10 below the exact ones (the same section)
  std::optional<double> acc1;          ///< percent
  std::optional<double> ece;           ///< percent
  std::optional<double> mce;           ///< percent
  std::optional<double> oce;           ///< at a confidence of 0.997
};

/// The row of a flow of this beta, or of the network that only classifies; null if none was
/// published, or beta is unknown.
const PublishedEvaluation* published_evaluation(bool has_density, std::optional<double> beta);

/// A network in its Tables 1, 4 and 5. None: the paper has no such number.
struct PublishedNetwork {
  std::string arch;
  /// Maximal receptive fields of the levels (network_levels.h), in pixels minus 1.
  std::vector<std::optional<int64_t>> receptive_fields;
  std::optional<double> parameters_network;
  std::optional<double> parameters_total;
  std::optional<double> multiply_adds;
  std::optional<double> multiply_adds_with_dense_mixing;
};

/// The published network that this one rebuilds; null for other presets, and for other stages.
const PublishedNetwork* published_network(const ModelConfig& config);

}  // namespace pal
