#include "experiments/robustness/image_statistics.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "experiments/measures/metrics.h"
#include "kernels/loss/softmax.h"
#include "layers/models/ib_inn.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

/// A batch on its way through a flow.
struct LatentBatch {
  Tensor z;        // f32 [n, D], on the CPU
  Tensor log_det;  // f64 [n], on the CPU
};

/// The losses of images whose labels do not matter; fills `latents` if the model has any.
LossResult run_batch(Model& model, const Tensor& images, LatentBatch& latents) {
  const Tensor labels = Tensor::zeros({images.size(0)}, DType::i32);
  const Tensor host = Tensor::empty({images.size(0), model.config().classes}, DType::f32);
  cpu::soft_targets(labels, 0.0, host);
  const Tensor targets = host.to(model.device(), Tag::data);
  if (!model.has_density()) return model.evaluate(images, targets, LossSpec());
  auto& flow = dynamic_cast<IbInn&>(model);
  const NoGradGuard no_grad;
  const auto latent = flow.forward(Variable(images), Phase::evaluate);
  const Tensor z = latent.y.value();
  const Tensor log_det = latent.log_det.value();
  latents = {z.to(Device()).dense(), log_det.to(Device())};
  return flow.head().evaluate(z, log_det, targets, LossSpec());
}

double squared_distance(const float* a, const float* b, int64_t count) {
  double sum = 0.0;
  for (int64_t i = 0; i < count; ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += d * d;
  }
  return sum;
}

double squared_norm(const float* a, int64_t count) {
  double sum = 0.0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(a[i]);
  return sum;
}

/// The distances and norms of a batch's latent vectors, into its images from `first` on.
void add_latents(const IbInn& flow, const LatentBatch& latents,
                 const std::vector<int64_t>& predicted, std::span<ImageStatistics> images) {
  const int64_t dims = flow.dims();
  const int64_t mean_dims = flow.head().spec().mean_dims;
  // Of a batch's classes alone: all those of ImageNet would be gigabytes.
  std::map<int64_t, Tensor> means;
  for (const int64_t y : predicted)
    if (!means.contains(y)) means.emplace(y, flow.head().class_mean(y));
  parallel_for(static_cast<int64_t>(images.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      ImageStatistics& image = images[static_cast<size_t>(i)];
      const float* const z = latents.z.data<float>() + i * dims;
      const float* const mean = means.at(predicted[static_cast<size_t>(i)]).data<float>();
      const double pooled = squared_distance(z, mean, mean_dims);
      const double rest = squared_distance(z + mean_dims, mean + mean_dims, dims - mean_dims);
      image.distance = (pooled + rest) / static_cast<double>(dims);
      image.mean_distance = pooled / static_cast<double>(mean_dims);
      image.latent_norm = squared_norm(z, dims) / static_cast<double>(dims);
      image.log_det = latents.log_det.data<double>()[i] / static_cast<double>(dims);
    }
  });
}

std::vector<ImageStatistics> batch_statistics(Model& model, const InputSpec& input,
                                              const Batch& batch,
                                              const ModelCalibration* calibration) {
  expect(batch.views == 1, "image_statistics: expected one view of each image, got {}",
         batch.views);
  LatentBatch latents;
  TrustScores scores;
  const LossResult losses = run_batch(model, batch.images, latents);
  add_trust_scores(losses, model, input, batch.images, {}, scores);
  std::vector<ImageStatistics> images;
  std::vector<double> q(static_cast<size_t>(model.config().classes));
  std::vector<int64_t> predicted;
  for (int64_t i = 0; i < scores.classes.count(); ++i) {
    const auto place = static_cast<size_t>(i);
    const auto row = scores.classes.row(i);
    const ImageResult judged = judge_scores(row, 0, 0.0, q);
    predicted.push_back(judged.predicted);
    ImageStatistics image;
    image.index = batch.indices[place];
    image.entropy = judged.entropy;
    image.confidence = judged.confidence;
    if (model.has_density()) {
      image.log_density = scores.log_density[place];
      image.excess = scores.excess[place];
      image.complexity = std::log(2.0) * bits_per_dim(image.log_density, input.std) - image.excess;
      if (calibration != nullptr)
        image.familiarity =
            calibration->familiarity(image.log_density, image.excess, calibration->posterior(row))
                .p;
    }
    images.push_back(image);
  }
  if (model.has_density())
    add_latents(dynamic_cast<const IbInn&>(model), latents, predicted, images);
  return images;
}

}  // namespace

std::vector<ImageStatistics> image_statistics(Model& model, const InputSpec& input,
                                              const Dataset& set, const EvaluationSpec& spec,
                                              const ModelCalibration* calibration) {
  EvaluationSpec own = spec;
  own.noise = false;
  const SharedImages images = evaluation_images(model, input, set, own);
  std::vector<ImageStatistics> all;
  all.reserve(static_cast<size_t>(images.count()));
  share_images(
      images,
      [&](const Batch& batch) {
        return Message().add(batch_statistics(model, input, batch, calibration));
      },
      [&](Message& message) {
        const auto said = message.take<ImageStatistics>();
        all.insert(all.end(), said.begin(), said.end());
      });
  return all;
}

}  // namespace pal
