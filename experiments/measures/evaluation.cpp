#include "experiments/measures/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
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

/// Targets of images, each repeated for every view of its image.
Tensor repeated_targets(const std::vector<int32_t>& classes_of, int64_t views, int64_t classes,
                        double smoothing, DType dtype) {
  const auto images = static_cast<int64_t>(classes_of.size());
  const Tensor labels = Tensor::empty({images * views}, DType::i32, Tag::data, Device());
  for (int64_t i = 0; i < labels.numel(); ++i)
    labels.data<int32_t>()[i] = classes_of[static_cast<size_t>(i / views)];
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

/// The scores of the classes that are there, alone.
std::vector<double> chosen_scores(const std::vector<double>& scores,
                                  const std::vector<int32_t>& among) {
  if (among.empty()) return scores;
  std::vector<double> chosen;
  for (const int32_t y : among) chosen.push_back(scores[static_cast<size_t>(y)]);
  return chosen;
}

/// The place of a class of the model among those that are there.
int32_t place_of(int32_t y, const std::vector<int32_t>& among) {
  if (among.empty()) return y;
  const auto found = std::ranges::lower_bound(among, y);
  expect(found != among.end() && *found == y,
         "evaluate_model: an image of class {}, which is none of the {} it is among", y,
         among.size());
  return static_cast<int32_t>(found - among.begin());
}

/// What `observe` is given: scores and probabilities by the model's classes, of which those that
/// are not there have none.
void observe_image(const EvaluationSpec& spec, const ImageResult& image, int64_t classes,
                   const std::vector<double>& scores, const std::vector<double>& probabilities) {
  if (!spec.observe) return;
  if (spec.among.empty()) {
    spec.observe(image, {scores, probabilities});
    return;
  }
  std::vector<double> all_scores(static_cast<size_t>(classes),
                                 -std::numeric_limits<double>::infinity());
  std::vector<double> all(static_cast<size_t>(classes));
  for (size_t k = 0; k < spec.among.size(); ++k) {
    const auto y = static_cast<size_t>(spec.among[k]);
    all_scores[y] = scores[k];
    all[y] = probabilities[k];
  }
  spec.observe(image, {all_scores, all});
}

}  // namespace

SharedImages evaluation_images(const Model& model, const InputSpec& input, const Dataset& set,
                               const EvaluationSpec& spec) {
  return {.set = set,
          .indices = spec.indices,
          .options = loader_options(input, spec, model.device()),
          .ranks = spec.ranks,
          .stop = spec.stop};
}

void BatchAnswers::add_to(Message& message) const {
  message.add(indices).add(labels).add(loss_x).add(loss_class).add(scores);
}

BatchAnswers BatchAnswers::from(Message& message) {
  BatchAnswers answers;
  answers.indices = message.take<int64_t>();
  answers.labels = message.take<int32_t>();
  answers.loss_x = message.take<double>();
  answers.loss_class = message.take<double>();
  answers.scores = message.take<double>();
  return answers;
}

int32_t class_of(const EvaluationSpec& spec, int32_t label) {
  if (spec.foreign) return 0;
  return spec.class_of_label.empty() ? label : spec.class_of_label[static_cast<size_t>(label)];
}

EvaluationPass::EvaluationPass(Model& model, const InputSpec& input, const std::string& set,
                               EvaluationSpec spec, int64_t count)
    : model_(model),
      input_(input),
      set_(set),
      spec_(std::move(spec)),
      start_(std::chrono::steady_clock::now()) {
  loss_.beta = spec_.beta;
  result_.has_density = model.has_density();
  result_.classwise.emplace(scored_classes());
  result_.images.reserve(static_cast<size_t>(count));
}

int64_t EvaluationPass::scored_classes() const {
  return spec_.among.empty() ? model_.config().classes : static_cast<int64_t>(spec_.among.size());
}

BatchAnswers EvaluationPass::answers(const Batch& batch) {
  const int64_t classes = model_.config().classes;
  const Tensor images =
      model_.dtype() == DType::f32 ? batch.images : batch.images.to(model_.dtype());
  BatchAnswers answers;
  answers.indices = batch.indices;
  for (const int32_t label : labels_of(batch)) answers.labels.push_back(class_of(spec_, label));
  const Tensor targets =
      repeated_targets(answers.labels, batch.views, classes, spec_.smoothing, model_.dtype());
  const LossResult mixture = model_.evaluate(images, targets.to(model_.device(), Tag::data), loss_);
  const Tensor all_scores = mixture.scores.to(Device());
  const Tensor nll_joint = mixture.nll_joint.to(Device());
  const Tensor nll_class = mixture.nll_class.to(Device());
  for (int64_t i = 0; i < batch.labels.numel(); ++i) {
    const std::vector<double> scores = scores_of(all_scores, i, batch.views);
    answers.scores.insert(answers.scores.end(), scores.begin(), scores.end());
    answers.loss_x.push_back(mean_of(nll_joint, i * batch.views, batch.views));
    answers.loss_class.push_back(mean_of(nll_class, i * batch.views, batch.views));
  }
  return answers;
}

void EvaluationPass::judge(const BatchAnswers& answers) {
  const int64_t classes = model_.config().classes;
  std::vector<double> probabilities(static_cast<size_t>(scored_classes()));
  for (size_t i = 0; i < answers.labels.size(); ++i) {
    const auto first = answers.scores.begin() + static_cast<std::ptrdiff_t>(i) * classes;
    const std::vector<double> scores = chosen_scores({first, first + classes}, spec_.among);
    const int32_t label = place_of(answers.labels[i], spec_.among);
    ImageResult image = judge_scores(scores, label, spec_.smoothing, probabilities);
    if (!spec_.among.empty()) {
      image.label = spec_.among[static_cast<size_t>(image.label)];
      image.predicted = spec_.among[static_cast<size_t>(image.predicted)];
    }
    image.index = answers.indices[i];
    image.loss_x = answers.loss_x[i];
    image.loss_class = answers.loss_class[i];
    image.log_density = log_density(image.loss_x, classes, model_.dims());
    if (!std::isfinite(image.loss_x) || !std::isfinite(image.cross_entropy))
      fail(ErrorKind::numerics,
           "{}: the loss of image {} is not finite (L_X {}, CE {}); the model has diverged", set_,
           image.index, image.loss_x, image.cross_entropy);
    result_.calibration.add(probabilities, label);
    result_.classwise->add(probabilities, label);
    observe_image(spec_, image, classes, scores, probabilities);
    result_.images.push_back(image);
  }
}

EvaluationResult EvaluationPass::finish() {
  result_.summary = summarize(result_.images);
  result_.summary.bits_per_dim =
      bits_per_dim(result_.summary.loss_x, model_.config().classes, model_.dims(), input_.std);
  const MixtureWeights weights = loss_.weights();
  result_.loss = result_.has_density ? weights.density * result_.summary.loss_x +
                                           weights.classes * result_.summary.loss_y
                                     : result_.summary.loss_y;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
  result_.images_per_s = static_cast<double>(result_.images.size()) / elapsed.count();
  return std::move(result_);
}

EvaluationResult evaluate_model(Model& model, const InputSpec& input, const Dataset& set,
                                const EvaluationSpec& spec) {
  expect(spec.class_of_label.empty() ||
             static_cast<int64_t>(spec.class_of_label.size()) == set.info().classes(),
         "evaluate_model: {} classes for the {} of {}", spec.class_of_label.size(),
         set.info().classes(), set.info().name);
  const SharedImages images = evaluation_images(model, input, set, spec);
  EvaluationPass pass(model, input, set.info().name, spec, images.count());
  share_images(
      images,
      [&](const Batch& batch) {
        Message message;
        pass.answers(batch).add_to(message);
        return message;
      },
      [&](Message& message) { pass.judge(BatchAnswers::from(message)); });
  return pass.finish();
}

std::vector<double> log_densities(const EvaluationResult& result) {
  std::vector<double> values;
  values.reserve(result.images.size());
  for (const ImageResult& image : result.images) values.push_back(image.log_density);
  return values;
}

}  // namespace pal
