#include "experiments/measures/picture_scores.h"

#include <algorithm>
#include <span>

#include "experiments/measures/metrics.h"
#include "kernels/loss/softmax_math.h"

namespace pal {
namespace {

constexpr int64_t kPicturesAtOnce = 100;

/// 8-bit pictures as a model reads them.
Tensor normalised(std::span<const Image> pictures, const InputSpec& input) {
  const Image& first = pictures.front();
  const Tensor images = Tensor::empty(
      {static_cast<int64_t>(pictures.size()), first.height, first.width, first.channels},
      DType::f32, Tag::data);
  float* to = images.data<float>();
  for (const Image& picture : pictures)
    for (size_t k = 0; k < picture.pixels.size(); ++k) {
      const size_t c = k % static_cast<size_t>(picture.channels);
      const float level = static_cast<float>(picture.pixels[k]) / static_cast<float>(kLevels);
      *to++ = (level - input.mean[c]) / input.std[c];
    }
  return images;
}

}  // namespace

Tensor picture_scores(Model& model, const InputSpec& input, const std::vector<Image>& pictures) {
  const int64_t classes = model.config().classes;
  const auto count = static_cast<int64_t>(pictures.size());
  Tensor scores = Tensor::empty({count, classes}, DType::f32, Tag::data);
  for (int64_t first = 0; first < count; first += kPicturesAtOnce) {
    const int64_t some = std::min(kPicturesAtOnce, count - first);
    const Tensor images = normalised(
        std::span(pictures).subspan(static_cast<size_t>(first), static_cast<size_t>(some)), input);
    const Tensor targets = Tensor::zeros({some, classes}, DType::f32, Tag::data);
    const LossResult result = model.evaluate(images.to(model.device(), Tag::data),
                                             targets.to(model.device(), Tag::data), LossSpec());
    scores.slice_batch(first, some).copy_from(result.scores);
  }
  return scores;
}

std::vector<PictureAnswer> picture_answers(Model& model, const InputSpec& input,
                                           const std::vector<Image>& pictures) {
  const Tensor scores = picture_scores(model, input, pictures);
  const int64_t classes = scores.size(1);
  std::vector<PictureAnswer> answers;
  for (int64_t i = 0; i < scores.size(0); ++i) {
    const float* const row = scores.data<float>() + i * classes;
    const double log_sum = softmax_math::log_sum_exp(row, classes);
    PictureAnswer answer;
    answer.y = std::max_element(row, row + classes) - row;
    for (int64_t y = 0; y < classes; ++y)
      answer.probabilities.push_back(softmax_math::probability(row[y], log_sum));
    answers.push_back(std::move(answer));
  }
  return answers;
}

}  // namespace pal
