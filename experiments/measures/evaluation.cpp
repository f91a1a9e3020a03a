#include "experiments/measures/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

#include "kernels/loss/softmax.h"
#include "runtime/error.h"

namespace pal {
namespace {

LoaderOptions loader_options(const InputSpec& input, const EvaluationSpec& spec, Device device) {
  LoaderOptions options;
  options.batch_size = spec.batch_size;
  options.seed = spec.seed;
  options.noise = spec.noise;
  options.mean = input.mean;
  options.std = input.std;
  options.device = device;
  options.transform = spec.transform;
  options.workers = spec.workers;
  options.bad_images = spec.bad_images;
  return evaluation_options(options);
}

/// Row i of a matrix of scores, in double.
void copy_row(const Tensor& scores, int64_t i, std::vector<double>& row) {
  dispatch_real("evaluate_model", scores.dtype(), [&](auto typed) {
    const auto* values = scores.data<decltype(typed)>() + i * scores.pitch();
    row.assign(values, values + scores.channels());
  });
}

/// Targets of a batch, each repeated for every view of its image.
Tensor repeated_targets(const Batch& batch, int64_t classes, double smoothing, DType dtype) {
  const int64_t images = batch.labels.numel();
  const Tensor labels = Tensor::empty({images * batch.views}, DType::i32, Tag::data, Device());
  for (int64_t i = 0; i < labels.numel(); ++i)
    labels.data<int32_t>()[i] = batch.labels.data<int32_t>()[i / batch.views];
  const Tensor targets = Tensor::empty({labels.numel(), classes}, dtype, Tag::data, Device());
  cpu::soft_targets(labels, smoothing, targets);
  return targets;
}

double mean_of(const Tensor& values, int64_t first, int64_t count) {
  const double* const begin = values.data<double>() + first;
  return std::accumulate(begin, begin + count, 0.0) / static_cast<double>(count);
}

double log_sum_exp(std::span<const double> values) {
  const double most = std::ranges::max(values);
  double sum = 0.0;
  for (const double value : values) sum += std::exp(value - most);
  return most + std::log(sum);
}

/// The scores of an image: those of its only view, or the logarithm of the mean softmax vector of
/// its views. In logarithms throughout, as a class may have a probability below the smallest
/// double.
std::vector<double> scores_of(const Tensor& all, int64_t image, int64_t views) {
  std::vector<double> row;
  copy_row(all, image * views, row);
  if (views == 1) return row;
  const size_t classes = row.size();
  std::vector<double> by_class(classes * static_cast<size_t>(views));
  for (size_t v = 0; v < static_cast<size_t>(views); ++v) {
    copy_row(all, image * views + static_cast<int64_t>(v), row);
    const double total = log_sum_exp(row);
    for (size_t y = 0; y < classes; ++y)
      by_class[y * static_cast<size_t>(views) + v] = row[y] - total;
  }
  for (size_t y = 0; y < classes; ++y)
    row[y] = log_sum_exp(
        std::span(by_class).subspan(y * static_cast<size_t>(views), static_cast<size_t>(views)));
  return row;
}

/// Makes the set's labels classes of the model.
void match_labels(const Batch& batch, const EvaluationSpec& spec) {
  int32_t* const labels = batch.labels.data<int32_t>();
  for (int64_t i = 0; i < batch.labels.numel(); ++i) labels[i] = class_of(spec, labels[i]);
}

}  // namespace

std::unique_ptr<Batches> evaluation_batches(const Model& model, const InputSpec& input,
                                            const Dataset& set, const EvaluationSpec& spec) {
  const LoaderOptions options = loader_options(input, spec, model.device());
  return spec.indices.empty() ? set.batches(options) : set.batches(spec.indices, options);
}

int32_t class_of(const EvaluationSpec& spec, int32_t label) {
  if (spec.foreign) return 0;
  return spec.class_of_label.empty() ? label : spec.class_of_label[static_cast<size_t>(label)];
}

EvaluationResult evaluate_model(Model& model, const InputSpec& input, const Dataset& set,
                                const EvaluationSpec& spec) {
  const auto start = std::chrono::steady_clock::now();
  expect(spec.class_of_label.empty() ||
             static_cast<int64_t>(spec.class_of_label.size()) == set.info().classes(),
         "evaluate_model: {} classes for the {} of {}", spec.class_of_label.size(),
         set.info().classes(), set.info().name);
  const auto loader = evaluation_batches(model, input, set, spec);
  const int64_t classes = model.config().classes;
  LossSpec loss;
  loss.beta = spec.beta;
  EvaluationResult result;
  result.has_density = model.has_density();
  result.classwise.emplace(classes);
  result.images.reserve(static_cast<size_t>(loader->count()));
  std::vector<double> probabilities(static_cast<size_t>(classes));
  for (int64_t step = 0; step < loader->steps(); ++step) {
    if (spec.stop && spec.stop()) throw Interrupted();
    const Batch batch = loader->batch(0, step);
    const Tensor images =
        model.dtype() == DType::f32 ? batch.images : batch.images.to(model.dtype());
    match_labels(batch, spec);
    const Tensor targets = repeated_targets(batch, classes, spec.smoothing, model.dtype());
    const LossResult mixture = model.evaluate(images, targets.to(model.device(), Tag::data), loss);
    const Tensor all_scores = mixture.scores.to(Device());
    const Tensor nll_joint = mixture.nll_joint.to(Device());
    const Tensor nll_class = mixture.nll_class.to(Device());
    for (int64_t i = 0; i < batch.labels.numel(); ++i) {
      const std::vector<double> scores = scores_of(all_scores, i, batch.views);
      ImageResult image =
          judge_scores(scores, batch.labels.data<int32_t>()[i], spec.smoothing, probabilities);
      image.index = batch.indices[static_cast<size_t>(i)];
      image.loss_x = mean_of(nll_joint, i * batch.views, batch.views);
      image.loss_class = mean_of(nll_class, i * batch.views, batch.views);
      image.log_density = log_density(image.loss_x, classes, model.dims());
      if (!std::isfinite(image.loss_x) || !std::isfinite(image.cross_entropy))
        fail(ErrorKind::numerics,
             "{}: the loss of image {} is not finite (L_X {}, CE {}); the model has diverged",
             set.info().name, image.index, image.loss_x, image.cross_entropy);
      result.calibration.add(probabilities, image.label);
      result.classwise->add(probabilities, image.label);
      if (spec.observe) spec.observe(image, {scores, probabilities});
      result.images.push_back(image);
    }
  }
  result.summary = summarize(result.images);
  result.summary.bits_per_dim =
      bits_per_dim(result.summary.loss_x, classes, model.dims(), input.std);
  const MixtureWeights weights = loss.weights();
  result.loss = result.has_density ? weights.density * result.summary.loss_x +
                                         weights.classes * result.summary.loss_y
                                   : result.summary.loss_y;
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

}  // namespace pal
