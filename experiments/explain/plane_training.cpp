#include "experiments/explain/plane_training.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "experiments/explain/doubles.h"
#include "experiments/measures/batch_norm_average.h"
#include "experiments/measures/class_match.h"
#include "experiments/trust/model_calibration.h"
#include "layers/models/transfer.h"
#include "layers/training/train_step.h"
#include "runtime/error.h"
#include "runtime/json.h"

namespace pal {
namespace {

constexpr int64_t kStatisticsBatches = 50;
constexpr double kRateOfMeansAlone = 0.2;
/// Means have to move far, from where they are told apart in many dimensions.
constexpr double kFasterMeans = 3.0;

/// Makes the values of doubles those of a tensor of any floating type on any device.
void copy_doubles(const std::vector<double>& values, const Tensor& to) {
  const Tensor host = Tensor::empty(to.shape(), DType::f64, Tag::workspace, Device());
  std::ranges::copy(values, host.data<double>());
  to.copy_from(host.to(to.dtype()));
}

Tensor f32_of(const std::vector<double>& values, const Shape& shape) {
  const Tensor tensor = Tensor::empty(shape, DType::f32, Tag::data, Device());
  copy_doubles(values, tensor);
  return tensor;
}

/// The flow with these classes alone, whose means are full-rank and in the layout of z.
std::unique_ptr<IbInn> flow_of_classes(const LoadedModel& loaded, const std::string& checkpoint,
                                       const std::vector<int64_t>& classes,
                                       const InputSpec& input) {
  const IbInn& from = flow_of(loaded, checkpoint);
  ModelConfig config = from.config();
  config.classes = static_cast<int64_t>(classes.size());
  config.rank = 0;
  config.head_permutation = false;
  auto model = std::make_unique<IbInn>(config, 0);
  transfer_state(to_checkpoint(from, loaded.input, loaded.progress), checkpoint, input, *model);
  std::vector<double> means;
  for (const int64_t y : classes) {
    const std::vector<double> mean = to_doubles(from.head().class_mean(y));
    means.insert(means.end(), mean.begin(), mean.end());
  }
  copy_doubles(means, model->head().means().mean);
  model->to(from.device());
  model->parameters().mark_changed();
  return model;
}

/// What the learning rates are multiplied by at a step: up over a twentieth of the steps, then down
/// along half a cosine.
double rate_factor(int64_t step, int64_t steps) {
  const double share = (static_cast<double>(step) + 0.5) / static_cast<double>(steps);
  constexpr double kWarmUp = 0.05;
  return share < kWarmUp ? share / kWarmUp
                         : 0.5 * (1.0 + std::cos(M_PI * (share - kWarmUp) / (1.0 - kWarmUp)));
}

/// Moves the means of a model into the plane nearest to them.
ClassPlane move_into_plane(IbInn& model) {
  const Tensor mean = model.head().means().mean;
  ClassPlane plane(to_doubles(mean), mean.size(0));
  copy_doubles(plane.means(), mean);
  model.parameters().mark_changed();
  return plane;
}

/// Training batches of some classes, whose labels are these classes' places in the list.
class ClassBatches {
 public:
  ClassBatches(const LoadedModel& loaded, const std::string& checkpoint,
               const TrainingImages& images, const PlaneSpec& spec) {
    const ClassMatch match = match_classes(loaded, checkpoint, images.set->info(), false);
    std::map<int64_t, int32_t> places;
    for (const int64_t y : spec.classes) places.emplace(y, static_cast<int32_t>(places.size()));
    for (size_t label = 0; label < images.set->info().class_names.size(); ++label) {
      const auto found = places.find(match.model_class(static_cast<int32_t>(label)));
      place_of_label_.push_back(found == places.end() ? -1 : found->second);
    }
    std::vector<int64_t> indices;
    for (const int64_t i : images.indices)
      if (place_of_label_[static_cast<size_t>(images.set->label(i))] >= 0) indices.push_back(i);
    LoaderOptions options = images.recipe.loader;
    options.seed = spec.seed;
    if (spec.batch_size > 0) options.batch_size = spec.batch_size;
    expect(static_cast<int64_t>(indices.size()) >= options.batch_size,
           "--batch-size: {} training images of these classes fill no batch of {}", indices.size(),
           options.batch_size);
    batches_ = images.set->batches(std::move(indices), options);
  }

  Batches& all() { return *batches_; }
  Batch at(int64_t step) {
    Batch batch = batches_->batch(step / batches_->steps(), step % batches_->steps());
    for (int64_t i = 0; i < batch.labels.numel(); ++i) {
      int32_t& label = batch.labels.data<int32_t>()[i];
      label = place_of_label_[static_cast<size_t>(label)];
    }
    return batch;
  }

 private:
  std::vector<int32_t> place_of_label_;  // -1: none of the classes
  std::unique_ptr<Batches> batches_;
};

}  // namespace

PlaneModel train_in_plane(const LoadedModel& loaded, const std::string& checkpoint,
                          const TrainingImages& images, const PlaneSpec& spec) {
  InputSpec input = loaded.input;
  const auto names = model_class_names(loaded.input, flow_of(loaded, checkpoint).config().classes);
  input.class_names.clear();
  for (const int64_t y : spec.classes) input.class_names.push_back(names[static_cast<size_t>(y)]);
  ClassBatches batches(loaded, checkpoint, images, spec);
  auto model = flow_of_classes(loaded, checkpoint, spec.classes, input);
  const ClassPlane start = move_into_plane(*model);
  PlaneModel made{std::move(model), input, start, start, 0, spec.whole_network, 0.0};
  made.beta = spec.whole_network ? spec.beta.value_or(images.recipe.beta)
                                 : std::numeric_limits<double>::infinity();
  made.steps =
      std::max<int64_t>(1, std::llround(spec.epochs * static_cast<double>(batches.all().steps())));
  // Means alone: SGD, as Adam moves every dimension alike, also those that tell nothing.
  OptimizerSpec optimized;
  UpdateOptions update;
  update.learning_rate_means = kRateOfMeansAlone;
  if (spec.whole_network) {
    optimized.kind = images.recipe.optimizer.kind;
    update = images.recipe.update;
    update.skip_outliers = 0.0;
    update.learning_rate_means *= kFasterMeans;
  }
  if (spec.learning_rate) update.learning_rate = *spec.learning_rate;
  if (spec.learning_rate_means) update.learning_rate_means = *spec.learning_rate_means;
  Optimizer optimizer(made.model->parameters(), optimized);
  TrainStep step(*made.model, optimizer, false);
  StepResult loss;
  for (int64_t k = 0; k < made.steps; ++k) {
    const Batch batch = batches.at(k);
    StepInput in;
    in.images = batch.images;
    in.labels = batch.labels;
    in.smoothing = images.recipe.smoothing;
    in.loss.beta = made.beta;
    in.head_only = !spec.whole_network;
    in.update = update;
    const double factor = rate_factor(k, made.steps);
    in.update.learning_rate *= factor;
    in.update.learning_rate_means *= factor;
    const std::string advice =
        spec.whole_network ? "try a smaller --lr or --lr-mu" : "try a smaller --lr-mu";
    try {
      step.run(in);
      loss = step.take();
      made.plane = move_into_plane(*made.model);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::numerics) throw;
      fail(ErrorKind::numerics, "step {} of {}: {}; {}", k + 1, made.steps, error.what(), advice);
    }
    if (loss.halted())
      fail(ErrorKind::numerics, "step {} of {}: the loss is not finite; {}", k + 1, made.steps,
           advice);
    if (spec.progress) spec.progress(k + 1, made.steps, loss.loss);
  }
  if (spec.whole_network)
    reaverage_batch_norm(*made.model, batches.all(),
                         std::min(kStatisticsBatches, batches.all().steps()));
  return made;
}

Checkpoint plane_checkpoint(const PlaneModel& made, const LoadedModel& from) {
  std::map<std::string, std::string> extra;
  extra["finetuned"] = json_text(nlohmann::json{{"plane", made.whole_network ? "network" : "means"},
                                                {"steps", made.steps},
                                                {"beta", fmt::format("{:g}", made.beta)},
                                                {"from", model_digest(from)}});
  if (const std::string print = from.checkpoint.entry("data_fingerprint"); !print.empty())
    extra["data_fingerprint"] = print;
  if (const std::string recipe = from.checkpoint.entry("recipe"); !recipe.empty()) {
    // The density is as before where the means alone have learned.
    const auto recorded = recorded_options(recipe, "recipe");
    if (made.whole_network) recorded->options.beta = made.beta;
    extra["recipe"] = recipe_json(recorded->table, recorded->options);
  }
  Checkpoint checkpoint = to_checkpoint(*made.model, made.input, from.progress, {}, extra);
  const ClassPlane& plane = made.plane;
  std::vector<double> axes = plane.axes()[0];
  axes.insert(axes.end(), plane.axes()[1].begin(), plane.axes()[1].end());
  std::vector<double> places;
  for (const PlanePoint& place : plane.places())
    places.insert(places.end(), place.begin(), place.end());
  checkpoint.tensors.emplace_back("plane.origin", f32_of(plane.origin(), {plane.dims()}));
  checkpoint.tensors.emplace_back("plane.axes", f32_of(axes, {2, plane.dims()}));
  checkpoint.tensors.emplace_back("plane.places", f32_of(places, {plane.classes(), 2}));
  return checkpoint;
}

bool is_plane_checkpoint(const std::string& path) {
  try {
    const auto json = parse_json(load_metadata(path).entry("finetuned"));
    return json.is_object() && json.contains("plane");
  } catch (const Error&) {
    return false;  // absent, or no checkpoint
  }
}

}  // namespace pal
