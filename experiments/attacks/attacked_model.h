#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "layers/models/model_io.h"

namespace pal {

/// What a model says of n images, on the host.
struct ImageScores {
  int64_t classes = 0;
  std::vector<double> scores;       ///< [n, classes]: l_y; q(y|x) is their softmax
  std::vector<double> log_density;  ///< [n]: ln q(x) / D, nats; empty without a density

  int64_t count() const { return static_cast<int64_t>(scores.size()) / classes; }
  std::span<const double> row(int64_t i) const {
    return std::span(scores).subspan(static_cast<size_t>(i * classes),
                                     static_cast<size_t>(classes));
  }
};

/// Derivatives of a loss with respect to ImageScores, in their layout; log_density may be empty.
struct ImageGradients {
  std::vector<double> scores;
  std::vector<double> log_density;
};
/// Differentiates a loss, the sum over images, at what a model says.
using ImageLoss = std::function<ImageGradients(const ImageScores&)>;

/// A classifier as attacks see it: images [n, h, w, c] with values in [0, 1] go in.
class AttackedModel {
 public:
  AttackedModel() = default;
  virtual ~AttackedModel() = default;
  AttackedModel(const AttackedModel&) = delete;
  AttackedModel& operator=(const AttackedModel&) = delete;

  /// What is said of images, without noise.
  virtual ImageScores scores(const Tensor& images) = 0;
  /// The gradient of a loss with respect to the images' values, in new memory.
  virtual Tensor gradient(const Tensor& images, const ImageLoss& loss) = 0;
};

/// A network with its normalisation of inputs, with running statistics.
class AttackedNetwork : public AttackedModel {
 public:
  /// Keeps a reference to the model, which is on its device.
  AttackedNetwork(Model& model, const InputSpec& input);

  ImageScores scores(const Tensor& images) override;
  Tensor gradient(const Tensor& images, const ImageLoss& loss) override;
  /// Images as the network takes them, in new memory.
  Tensor normalised(const Tensor& images) const;

 private:
  ImageScores said(const ModelScores& scores) const;

  Model& model_;
  Tensor scale_;   // [c]: 1 / std
  Tensor offset_;  // [c]: -mean / std
  Tensor none_;    // [c]: 0
};

}  // namespace pal
