#include "layers/training/train_step.h"

#include <cmath>

#include "kernels/arrays/elementwise.h"
#include "kernels/library/cuda_settings.h"
#include "kernels/loss/softmax.h"
#include "runtime/profiler.h"

namespace pal {
namespace {

/// Where a step's numbers stand on their way to the host.
enum Number : int {
  kSummary,
  kCorrect = 3,
  kSquaredNorms,
  kGuard = kSquaredNorms + kNormParts,
  kNumbers = kGuard + kGuardValues
};

/// Share of a step's images that so many are.
double share_of(const StepInput& input, int64_t images) {
  return input.whole > 0 ? static_cast<double>(images) / static_cast<double>(input.whole) : 1.0;
}

}  // namespace

TrainStep::TrainStep(Model& model, Optimizer& optimizer, bool use_graph)
    : model_(model),
      optimizer_(optimizer),
      use_graph_(use_graph),
      correct_(Tensor::zeros({1}, DType::f64, Tag::workspace, model.device())),
      numbers_(Tensor::zeros({kNumbers}, DType::f64, Tag::workspace, model.device())),
      results_(kNumbers, model.device()) {
  expect(!use_graph || model.device().is_cuda(), "TrainStep: a graph needs a GPU");
  expect(!use_graph || !is_learned(model.config().mixing),
         "TrainStep: a learned mixing is computed on the host in each step, which no graph can "
         "record");
  if (use_graph)
    pool_ = std::make_unique<Allocator::Pool>(model.device(), [this] { graph_.reset(); });
}

TrainStep::TrainStep(Model& model, Optimizer& optimizer, bool use_graph, Communicator& ranks,
                     const ReductionSpec& spec)
    : TrainStep(model, optimizer, use_graph) {
  if (ranks.size() == 1) return;
  expect(!use_graph || ranks.in_graphs(),
         "TrainStep: sums that go through the host cannot be part of a graph");
  reducer_ = std::make_unique<GradientReducer>(model, ranks, spec);
}

void TrainStep::forget_recording() {
  graph_.reset();
  pool_->drop_recording();
}

void TrainStep::make_image_buffer(const Shape& images) {
  if (images_.defined() && images_.shape() == images) return;
  // What was recorded reads the old buffer.
  forget_recording();
  images_ = Tensor();
  images_ = Tensor::empty(images, DType::f32, Tag::data, model_.device());
}

void TrainStep::make_label_buffers(int64_t images) {
  if (labels_.defined() && labels_.size(0) == images) return;
  if (use_graph_) forget_recording();
  labels_ = Tensor::empty({images}, DType::i32, Tag::data, model_.device());
  targets_ =
      Tensor::empty({images, model_.config().classes}, DType::f32, Tag::data, model_.device());
}

Tensor TrainStep::memory_for(const Shape& images) {
  if (!use_graph_) return Tensor::empty(images, DType::f32, Tag::data, model_.device());
  make_image_buffer(images);
  return images_;
}

void TrainStep::upload_labels(const Tensor& labels) {
  const int64_t classes = model_.config().classes;
  for (int64_t n = 0; n < labels.numel(); ++n)
    expect(labels.data<int32_t>()[n] >= 0 && labels.data<int32_t>()[n] < classes,
           "train_step: label {} of image {}; expected 0 to {}", labels.data<int32_t>()[n], n,
           classes - 1);
  staging_.upload(labels, labels_);
}

void TrainStep::run(const StepInput& input) {
  expect(input.images.device() == model_.device(), "train_step: images on {}, the model on {}",
         input.images.device().str(), model_.device().str());
  if (use_graph_) make_image_buffer(input.images.shape());
  make_label_buffers(input.images.size(0));
  upload_labels(input.labels);
  optimizer_.set_options(input.update);
  by_graph_ = false;
  if (!use_graph_) {
    work(input, input.images);
  } else {
    if (input.images.raw() != images_.raw()) images_.copy_from(input.images);
    const Allocator::PoolScope scope(*pool_);
    work_by_graph(input);
  }
  if (input.part + 1 < input.parts) return;
  results_.start(numbers_);
  pending_.push_back({input.whole > 0 ? input.whole : input.images.size(0), input.loss.factor});
}

void TrainStep::work_by_graph(const StepInput& input) {
  if (input.eager || input.parts > 1) return work(input, images_);
  const Key key{images_.shape(), input.whole,     input.loss.factor,    input.loss.beta,
                input.smoothing, input.head_only, model_.step_variant()};
  if (key != key_) {
    forget_recording();
    key_ = key;
    warm_ups_ = 0;
  }
  if (warm_ups_ < kWarmUps) {
    ++warm_ups_;
    return work(input, images_);
  }
  if (!graph_.captured()) record(input);
  graph_.launch();
  by_graph_ = true;
  // The recorded update changed the weights again.
  model_.parameters().mark_changed();
}

void TrainStep::record(const StepInput& input) {
  forget_recording();
  // So that room need not be made while recording.
  Allocator::of(model_.device()).trim();
  // Scratch memory of algorithms that were tried and not chosen.
  if (cuda_math().autotune) pool_->trim();
  const Allocator::RecordingScope recording(*pool_);
  try {
    graph_.capture([&] { work(input, images_); });
  } catch (...) {
    // Copies of weights that were to be renewed were not.
    model_.parameters().mark_changed();
    throw;
  }
}

void TrainStep::work(const StepInput& input, const Tensor& images) {
  const bool last = input.part + 1 == input.parts;
  const bool divided = reducer_ != nullptr || input.parts > 1;
  PAL_BACKEND(targets_, soft_targets(labels_, input.smoothing, targets_));
  if (input.part == 0) {
    model_.parameters().zero_grad();
    optimizer_.keep_statistics();
  }
  LossSpec loss = input.loss;
  // Then sums over parts and ranks are the step's.
  if (divided) loss.factor *= share_of(input, images.size(0));
  if (last && reducer_) reducer_->begin(input.head_only);
  const LossResult result = input.head_only ? model_.forward_backward_head(images, targets_, loss)
                                            : model_.forward_backward(images, targets_, loss);
  PAL_BACKEND(result.scores, count_top_k(result.scores, labels_, 1, correct_));
  if (!divided) return apply(result.summary, correct_, input.head_only);
  add_up(input, result, images.size(0));
  if (!last) return;
  if (reducer_) share_out(input);
  apply(totals_.view_at(0, {3}), totals_.view_at(3, {1}), input.head_only);
}

void TrainStep::add_up(const StepInput& input, const LossResult& result, int64_t images) {
  if (!totals_.defined()) totals_ = Tensor::zeros({4}, DType::f64, Tag::workspace, model_.device());
  if (input.part == 0) {
    totals_.zero();
    images_so_far_ = 0;
  }
  images_so_far_ += images;
  const auto add = [&](double factor, const Tensor& numbers, int64_t place) {
    const Tensor to = totals_.view_at(place, {numbers.numel()});
    PAL_BACKEND(to, axpy(factor, numbers, to));
  };
  // The weighted loss has its share already.
  add(1.0, result.summary.view_at(0, {1}), 0);
  add(share_of(input, images), result.summary.view_at(1, {2}), 1);
  add(1.0, correct_, 3);
}

void TrainStep::share_out(const StepInput& input) {
  std::vector<Tensor> others = {totals_};
  const Tensor& statistics = model_.parameters().all_statistics();
  // Those of synchronised norms are the same everywhere.
  if (!input.head_only && statistics.numel() > 0 && !model_.norms_synchronised()) {
    PAL_BACKEND(statistics, scale(statistics, share_of(input, images_so_far_)));
    others.push_back(statistics);
  }
  reducer_->finish(others);
}

void TrainStep::apply(const Tensor& summary, const Tensor& correct, bool head_only) {
  {
    const PhaseScope phase("optimizer");
    optimizer_.apply(summary.view_at(0, {1}), head_only);
  }
  numbers_.view_at(kSummary, {3}).copy_from(summary);
  numbers_.view_at(kCorrect, {1}).copy_from(correct);
  numbers_.view_at(kSquaredNorms, {kNormParts}).copy_from(optimizer_.squared_norms());
  numbers_.view_at(kGuard, {kGuardValues}).copy_from(optimizer_.guard());
}

StepResult TrainStep::take() {
  // A GPU that waits for a rank that is gone would do so for ever.
  const std::vector<double> numbers =
      reducer_ ? results_.take([this] { reducer_->ranks().expect_alive(); }) : results_.take();
  const Pending pending = pending_.front();
  pending_.erase(pending_.begin());
  StepResult result;
  result.loss = numbers[kSummary] / pending.factor;
  result.nll_joint = numbers[kSummary + 1];
  result.cross_entropy = numbers[kSummary + 2];
  result.accuracy = numbers[kCorrect] / static_cast<double>(pending.images);
  result.grad_norm = std::sqrt(numbers[kSquaredNorms]);
  result.guard = GuardState::from(numbers.data() + kGuard);
  return result;
}

}  // namespace pal
