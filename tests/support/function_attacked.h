#pragma once
#include <functional>
#include <span>
#include <vector>

#include "experiments/attacks/attack_batch.h"
#include "kernels/arrays/host_values.h"

namespace pal::testing {

/// A model of two classes of any margin of class 0 over class 1, image for image. A function gets
/// the values of an image and overwrites `grad` with its derivatives.
class FunctionAttacked : public AttackedModel {
 public:
  using Function = std::function<double(std::span<const double> x, std::span<double> grad)>;

  /// `density` is ln q(x) / D; empty: a model without one.
  explicit FunctionAttacked(Function margin, Function density = {})
      : margin_(std::move(margin)), density_(std::move(density)) {}

  /// Images that were differentiated so far, and that were only judged.
  int64_t differentiated = 0, judged = 0;

  ImageScores scores(const Tensor& images) override {
    judged += images.size(0);
    return said(images, nullptr, nullptr);
  }

  Tensor gradient(const Tensor& images, const ImageLoss& loss) override {
    differentiated += images.size(0);
    std::vector<double> of_margin, of_density;
    const ImageGradients wanted = loss(said(images, &of_margin, &of_density));
    const size_t width = of_margin.size() / static_cast<size_t>(images.size(0));
    std::vector<double> grad(of_margin.size());
    for (size_t i = 0; i < grad.size(); ++i) {
      const size_t image = i / width;
      grad[i] = 0.5 * (wanted.scores[2 * image] - wanted.scores[2 * image + 1]) * of_margin[i];
      if (!wanted.log_density.empty()) grad[i] += wanted.log_density[image] * of_density[i];
    }
    return tensor_of(grad, images.shape(), images.dtype());
  }

 private:
  ImageScores said(const Tensor& images, std::vector<double>* of_margin,
                   std::vector<double>* of_density) const {
    const std::vector<double> x = host_values(images);
    const auto width = static_cast<size_t>(images.numel() / images.size(0));
    ImageScores result = {2, {}, {}};
    for (size_t first = 0; first < x.size(); first += width) {
      const std::span<const double> image = std::span(x).subspan(first, width);
      std::vector<double> grad(width);
      const double margin = margin_(image, grad);
      if (of_margin != nullptr) of_margin->insert(of_margin->end(), grad.begin(), grad.end());
      result.scores.push_back(0.5 * margin);
      result.scores.push_back(-0.5 * margin);
      if (!density_) continue;
      result.log_density.push_back(density_(image, grad));
      if (of_density != nullptr) of_density->insert(of_density->end(), grad.begin(), grad.end());
    }
    return result;
  }

  Function margin_, density_;
};

/// Images [n, 1, 1, width] of class 0 on the way to class 1; without targets, to any other.
inline AttackBatch attack_batch(const std::vector<std::vector<double>>& images,
                                bool targeted = true) {
  std::vector<double> all;
  for (const std::vector<double>& image : images) all.insert(all.end(), image.begin(), image.end());
  const auto n = static_cast<int64_t>(images.size());
  return {tensor_of(all, {n, 1, 1, static_cast<int64_t>(images[0].size())}),
          std::vector<AttackGoal>(images.size(), {0, targeted ? 1 : -1})};
}

/// The values of one image.
inline std::vector<double> image_values(const Tensor& images, int64_t i) {
  return host_values(images.slice_batch(i, 1));
}

}  // namespace pal::testing
