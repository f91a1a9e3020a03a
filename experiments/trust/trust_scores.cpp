#include "experiments/trust/trust_scores.h"

#include <algorithm>
#include <cmath>

#include "experiments/measures/metrics.h"
#include "experiments/measures/sampling.h"
#include "kernels/loss/softmax.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

/// The model's losses of images whose labels do not matter.
LossResult losses_of(Model& model, const Tensor& images) {
  const Tensor labels = Tensor::zeros({images.size(0)}, DType::i32);
  const Tensor targets = Tensor::empty({images.size(0), model.config().classes}, DType::f32);
  cpu::soft_targets(labels, 0.0, targets);
  return model.evaluate(images, targets.to(model.device(), Tag::data), LossSpec());
}

template <typename T>
void append(std::vector<T>& to, const std::vector<T>& values) {
  to.insert(to.end(), values.begin(), values.end());
}

}  // namespace

double png_bits_per_dim(const Image& image) {
  constexpr int kFast = 1;
  constexpr double kBits = 8.0;
  return kBits * static_cast<double>(encode_png(image, kFast).size()) /
         static_cast<double>(image.pixels.size());
}

void add_trust_scores(Model& model, const InputSpec& input, const Tensor& images,
                      std::span<const int32_t> labels, TrustScores& scores) {
  add_trust_scores(losses_of(model, images), model, input, images, labels, scores);
}

void add_trust_scores(const LossResult& losses, const Model& model, const InputSpec& input,
                      const Tensor& images, std::span<const int32_t> labels, TrustScores& scores) {
  const int64_t count = images.size(0);
  const int64_t classes = model.config().classes;
  scores.classes.classes = classes;
  const Tensor all = losses.scores.to(Device());
  std::vector<double> row(static_cast<size_t>(classes));
  for (int64_t i = 0; i < count; ++i) {
    const float* const from = all.data<float>() + i * all.pitch();
    std::copy_n(from, classes, row.begin());
    if (!std::ranges::all_of(row, [](double l) { return std::isfinite(l); }))
      fail(ErrorKind::numerics, "a class score is not finite; the model has diverged");
    scores.classes.add(row, labels.empty() ? 0 : labels[static_cast<size_t>(i)]);
  }
  if (!model.has_density()) return;
  const Tensor loss_x = losses.nll_joint.to(Device());
  const std::vector<Image> pictures = to_pictures(images.to(Device()), input);
  std::vector<double> png(pictures.size());
  parallel_for(count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      png[static_cast<size_t>(i)] = png_bits_per_dim(pictures[static_cast<size_t>(i)]);
  });
  for (int64_t i = 0; i < count; ++i) {
    const double value = loss_x.data<double>()[i];
    if (!std::isfinite(value))
      fail(ErrorKind::numerics, "a log-density is not finite; the model has diverged");
    scores.log_density.push_back(log_density(value, classes, model.dims()));
    scores.excess.push_back(
        (bits_per_dim(value, classes, model.dims(), input.std) - png[static_cast<size_t>(i)]) *
        std::log(2.0));
  }
}

TrustScores trust_scores(Model& model, const InputSpec& input, const Dataset& set,
                         const EvaluationSpec& spec) {
  EvaluationSpec own = spec;
  own.noise = false;
  TrustScores scores;
  scores.classes.classes = model.config().classes;
  share_images(
      evaluation_images(model, input, set, own),
      [&](const Batch& batch) {
        expect(batch.views == 1, "trust_scores: expected one view of each image, got {}",
               batch.views);
        std::vector<int32_t> labels;
        for (const int32_t label : labels_of(batch)) labels.push_back(class_of(spec, label));
        TrustScores said;
        add_trust_scores(model, input, batch.images, labels, said);
        Message message;
        message.add(said.classes.scores).add(said.classes.labels);
        message.add(said.log_density).add(said.excess);
        return message;
      },
      [&](Message& message) {
        append(scores.classes.scores, message.take<double>());
        append(scores.classes.labels, message.take<int32_t>());
        append(scores.log_density, message.take<double>());
        append(scores.excess, message.take<double>());
      });
  return scores;
}

}  // namespace pal
