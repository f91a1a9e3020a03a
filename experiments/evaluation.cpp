#include "experiments/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <utility>

#include "kernels/softmax.h"
#include "runtime/error.h"

namespace pal {
namespace {

std::vector<int64_t> chosen_indices(const ImageSet& set, const EvaluationSpec& spec) {
  if (!spec.indices.empty()) return spec.indices;
  std::vector<int64_t> all(static_cast<size_t>(set.count));
  std::iota(all.begin(), all.end(), int64_t{0});
  return all;
}

LoaderOptions loader_options(const InputSpec& input, const EvaluationSpec& spec, Device device) {
  LoaderOptions options;
  options.batch_size = spec.batch_size;
  options.seed = spec.seed;
  options.noise = spec.noise;
  options.mean = input.mean;
  options.std = input.std;
  options.device = device;
  return evaluation_options(options);
}

/// Row i of a matrix of scores, in double.
void copy_row(const Tensor& scores, int64_t i, std::vector<double>& row) {
  dispatch_real("evaluate_model", scores.dtype(), [&](auto typed) {
    const auto* values = scores.data<decltype(typed)>() + i * scores.pitch();
    row.assign(values, values + scores.channels());
  });
}

}  // namespace

EvaluationResult evaluate_model(IbInn& model, const InputSpec& input, const ImageSet& set,
                                const EvaluationSpec& spec) {
  const auto start = std::chrono::steady_clock::now();
  BatchLoader loader(set, chosen_indices(set, spec), loader_options(input, spec, model.device()));
  const int64_t classes = model.config().classes;
  LossSpec loss;
  loss.beta = spec.beta;
  EvaluationResult result;
  result.images.reserve(static_cast<size_t>(loader.count()));
  std::vector<double> scores;
  std::vector<double> probabilities(static_cast<size_t>(classes));
  for (int64_t step = 0; step < loader.steps(); ++step) {
    const Batch batch = loader.batch(0, step);
    const std::vector<int64_t> indices = loader.batch_indices(0, step);
    const Tensor images =
        model.dtype() == DType::f32 ? batch.images : batch.images.to(model.dtype());
    if (spec.foreign) std::fill_n(batch.labels.data<int32_t>(), batch.labels.numel(), 0);
    const Tensor targets = Tensor::empty({images.size(0), classes}, model.dtype(), Tag::data);
    PAL_BACKEND(targets, soft_targets(batch.labels, spec.smoothing, targets));
    const MixtureResult mixture =
        model.evaluate(images, targets.to(model.device(), Tag::data), loss);
    const Tensor all_scores = mixture.scores.to(Device());
    const Tensor nll_joint = mixture.nll_joint.to(Device());
    const Tensor nll_class = mixture.nll_class.to(Device());
    for (int64_t i = 0; i < images.size(0); ++i) {
      copy_row(all_scores, i, scores);
      ImageResult image =
          judge_scores(scores, batch.labels.data<int32_t>()[i], spec.smoothing, probabilities);
      image.index = indices[static_cast<size_t>(i)];
      image.loss_x = nll_joint.data<double>()[i];
      image.loss_class = nll_class.data<double>()[i];
      image.log_density = log_density(image.loss_x, classes, model.dims());
      if (!std::isfinite(image.loss_x) || !std::isfinite(image.cross_entropy))
        fail(ErrorKind::numerics,
             "{}: the loss of image {} is not finite (L_X {}, CE {}); the model has diverged",
             set.name, image.index, image.loss_x, image.cross_entropy);
      result.calibration.add(probabilities, image.label);
      result.images.push_back(image);
    }
  }
  result.summary = summarize(result.images);
  result.summary.bits_per_dim =
      bits_per_dim(result.summary.loss_x, classes, model.dims(), input.std);
  const MixtureWeights weights = loss.weights();
  result.loss = weights.density * result.summary.loss_x + weights.classes * result.summary.loss_y;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  result.images_per_s = static_cast<double>(result.images.size()) / elapsed.count();
  return result;
}

std::vector<double> log_densities(const EvaluationResult& result) {
  std::vector<double> values;
  values.reserve(result.images.size());
  for (const ImageResult& image : result.images) values.push_back(image.log_density);
  return values;
}

void expect_images_fit(const LoadedModel& loaded, const std::string& path, const ImageSet& set) {
  const ModelConfig& config = loaded.model->config();
  expect(set.channels == config.channels && set.height == config.image_size &&
             set.width == config.image_size,
         "{}: made for images of {}x{} with {} channel(s), but {} has {}x{} with {}", path,
         config.image_size, config.image_size, config.channels, set.name, set.width, set.height,
         set.channels);
  const auto channels = static_cast<size_t>(config.channels);
  if (loaded.input.mean.size() != channels || loaded.input.std.size() != channels)
    fail(ErrorKind::data, "{}: {} means and {} deviations for {} channel(s)", path,
         loaded.input.mean.size(), loaded.input.std.size(), config.channels);
  for (const float s : loaded.input.std)
    if (!(s > 0.0F)) fail(ErrorKind::data, "{}: std: expected numbers above 0, got {}", path, s);
}

void expect_classes_fit(const LoadedModel& loaded, const std::string& path, const ImageSet& set) {
  const int64_t classes = loaded.model->config().classes;
  if (set.classes == classes) return;
  const bool more = set.classes > classes;
  const auto& names = more ? set.class_names : loaded.input.class_names;
  const auto first = static_cast<size_t>(std::min(set.classes, classes));
  fail(ErrorKind::usage, "{}: a model of {} classes, but {} has {} (the first extra one is '{}')",
       path, classes, set.name, set.classes, first < names.size() ? names[first] : "?");
}

void reaverage_batch_norm(IbInn& model, BatchLoader& loader, int64_t batches) {
  expect(batches >= 1, "reaverage_batch_norm: expected at least one batch, got {}", batches);
  const NoGradGuard no_grad;
  for (int64_t k = 0; k < batches; ++k) {
    model.set_average_count(k + 1);
    const Batch batch = loader.batch(k / loader.steps(), k % loader.steps());
    model.forward(Variable(batch.images), Phase::train);
  }
  model.set_average_count(0);
}

std::string to_csv(const std::vector<ImageResult>& images) {
  std::string text =
      "index,label,predicted,rank,confidence,entropy,ce,loss_y,loss_x,loss_class,log_density\n";
  for (const ImageResult& r : images)
    fmt::format_to(std::back_inserter(text), "{},{},{},{},{},{},{},{},{},{},{}\n", r.index, r.label,
                   r.predicted, r.rank, r.confidence, r.entropy, r.cross_entropy, r.loss_y,
                   r.loss_x, r.loss_class, r.log_density);
  return text;
}

}  // namespace pal
