#pragma once
#include <vector>

#include "experiments/attacks/attack_batch.h"
#include "kernels/arrays/host_values.h"

namespace pal::testing {

/// A linear model of two classes: the margin of class 0 over class 1 of the image x0 + d is
/// start + <w, d>. Each score holds half of it.
class LinearAttacked : public AttackedModel {
 public:
  LinearAttacked(std::vector<double> image, std::vector<double> weights, double start)
      : image_(std::move(image)), weights_(std::move(weights)), start_(start) {}

  const std::vector<double>& weights() const { return weights_; }
  /// x0, `copies` times, on the way from class 0 to class 1; without targets, from class 0.
  AttackBatch batch(int64_t copies = 1, bool targeted = true) const {
    std::vector<double> all;
    for (int64_t i = 0; i < copies; ++i) all.insert(all.end(), image_.begin(), image_.end());
    const Shape shape = {copies, 1, 1, static_cast<int64_t>(image_.size())};
    return {tensor_of(all, shape),
            std::vector<AttackGoal>(static_cast<size_t>(copies), {0, targeted ? 1 : -1})};
  }

  ImageScores scores(const Tensor& images) override {
    const std::vector<double> x = host_values(images);
    ImageScores said = {2, {}, {}};
    for (size_t first = 0; first < x.size(); first += image_.size()) {
      double margin = start_;
      for (size_t k = 0; k < image_.size(); ++k)
        margin += weights_[k] * (x[first + k] - static_cast<double>(static_cast<float>(image_[k])));
      said.scores.push_back(0.5 * margin);
      said.scores.push_back(-0.5 * margin);
    }
    return said;
  }

  Tensor gradient(const Tensor& images, const ImageLoss& loss) override {
    const ImageGradients wanted = loss(scores(images));
    std::vector<double> grad;
    for (size_t i = 0; i < wanted.scores.size(); i += 2)
      for (const double w : weights_)
        grad.push_back(0.5 * (wanted.scores[i] - wanted.scores[i + 1]) * w);
    return tensor_of(grad, images.shape());
  }

 private:
  std::vector<double> image_, weights_;
  double start_;
};

}  // namespace pal::testing
