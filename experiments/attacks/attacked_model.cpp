#include "experiments/attacks/attacked_model.h"

#include "experiments/measures/metrics.h"
#include "kernels/arrays/host_values.h"
#include "kernels/coupling/act_norm.h"

namespace pal {

AttackedNetwork::AttackedNetwork(Model& model, const InputSpec& input) : model_(model) {
  std::vector<double> scale, offset;
  for (size_t c = 0; c < input.mean.size(); ++c) {
    const double inverse = 1.0 / static_cast<double>(input.std[c]);
    scale.push_back(inverse);
    offset.push_back(-static_cast<double>(input.mean[c]) * inverse);
  }
  const DeviceScope device(model.device());
  const Shape channels = {static_cast<int64_t>(scale.size())};
  scale_ = tensor_of(scale, channels, model.dtype());
  offset_ = tensor_of(offset, channels, model.dtype());
  none_ = Tensor::zeros(channels, model.dtype());
}

Tensor AttackedNetwork::normalised(const Tensor& images) const {
  const DeviceScope device(images.device());
  const Tensor x = Tensor::empty(images.shape(), images.dtype(), Tag::stream);
  PAL_BACKEND(x, act_norm_forward(images, scale_, offset_, x));
  return x;
}

ImageScores AttackedNetwork::said(const ModelScores& scores) const {
  ImageScores result = {scores.classes, scores.scores, {}};
  for (const double nll : scores.nll_joint)
    result.log_density.push_back(log_density(nll, scores.classes, model_.dims()));
  return result;
}

ImageScores AttackedNetwork::scores(const Tensor& images) {
  return said(model_.scores_of(normalised(images)));
}

Tensor AttackedNetwork::gradient(const Tensor& images, const ImageLoss& loss) {
  const Tensor gradient = model_.input_gradient(normalised(images), [&](const ModelScores& scores) {
    ImageGradients wanted = loss(said(scores));
    for (double& derivative : wanted.log_density) derivative = -derivative;
    return ScoreGradients{std::move(wanted.scores), std::move(wanted.log_density)};
  });
  PAL_BACKEND(gradient, act_norm_forward(gradient, scale_, none_, gradient));
  return gradient;
}

}  // namespace pal
