#include "experiments/training/train_loop.h"

#include <fmt/format.h>

#include "experiments/measures/batch_norm_average.h"
#include "experiments/report/event_file.h"
#include "kernels/loss/softmax.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/log.h"
#include "runtime/profiler.h"

namespace pal {
namespace {

constexpr double kBurnInFactor = 0.05;

std::chrono::steady_clock::time_point now() { return std::chrono::steady_clock::now(); }

double seconds_since(std::chrono::steady_clock::time_point time) {
  return std::chrono::duration<double>(now() - time).count();
}

}  // namespace

TrainLoop::TrainLoop(TrainSetup& setup, RunState& state, const RunFolder& folder,
                     RunCheckpoints& checkpoints, ProgressLine& line)
    : setup_(setup),
      options_(setup.options),
      state_(state),
      folder_(folder),
      checkpoints_(checkpoints),
      line_(line),
      metrics_(folder.file("metrics.jsonl")),
      best_(setup, state, checkpoints, metrics_, line, signal_),
      monitor_(setup),
      step_(*setup.model, *setup.sgd, setup.use_graph),
      start_(now()),
      before_(metrics_history(folder.file("metrics.jsonl"), options_.batch_size)),
      times_{current_step(), 0.0},
      saved_step_(current_step()),
      collected_step_(current_step()),
      unprofiled_(times_) {
  if (!options_.tensorboard) return;
  const auto events = std::make_shared<EventFile>(folder.file("tensorboard"), current_step() + 1);
  metrics_.listen([events](const MetricsRow& row) { events->append(row); });
}

double TrainLoop::elapsed() const { return before_.seconds + seconds_since(start_); }

int64_t TrainLoop::checkpoint_period() const {
  return options_.checkpoint_every > 0 ? options_.checkpoint_every : setup_.steps_per_epoch();
}

StepInput TrainLoop::step_input(int64_t step) {
  const int64_t epoch_steps = setup_.steps_per_epoch();
  const Batch batch = readable(
      [&] { return setup_.data.training().batch(step / epoch_steps, step % epoch_steps); });
  StepInput input;
  input.images = batch.images;
  input.labels = batch.labels;
  input.smoothing = options_.smoothing;
  input.loss.beta = options_.beta;
  input.loss.factor = step < options_.burn_in ? kBurnInFactor : 1.0;
  input.sgd = options_.sgd;
  const double factor = schedule_factor(options_.schedule, state_.plateau, step);
  input.sgd.learning_rate *= factor;
  input.sgd.learning_rate_means *= factor;
  input.head_only = trains_head();
  // The rate that is shown is that of what learns.
  if (input.head_only && setup_.flow != nullptr)
    input.sgd.learning_rate = input.sgd.learning_rate_means;
  return input;
}

template <typename Body>
void TrainLoop::guarded(int64_t step, Body&& body) const {
  try {
    body();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::numerics) throw;
    fail(ErrorKind::numerics, "step {}: {}; {}", step, error.what(), advice());
  }
}

void TrainLoop::launch_step() {
  Progress& progress = state_.progress;
  StepInput input;
  {
    const PhaseScope phase("input");
    input = step_input(progress.step);
  }
  input.eager = !input.head_only && monitor_.watch(progress.step);
  {
    const PhaseScope phase("step");
    guarded(progress.step + 1, [&] { step_.run(input); });
  }
  ++progress.step;
  progress.epoch = progress.step / setup_.steps_per_epoch();
  progress.samples_seen += input.images.size(0);
  launched_.push_back({progress.step, input.sgd.learning_rate});
}

void TrainLoop::collect_step(double seconds) {
  const StepResult result = step_.take();
  const Launched launched = launched_.front();
  launched_.pop_front();
  if (!result.finite()) fail_not_finite(launched, result);
  collected_step_ = launched.step;
  times_.seconds += seconds;
  if (launched.step == times_.first_step + 1) first_loss_ = result.loss;
  last_loss_ = result.loss;
  metrics_.append(
      step_row(setup_, elapsed(), launched.step, launched.learning_rate, result, seconds));
  monitor_.judge(launched.step);
  line_.show(progress_text(setup_, state_, times_, result));
}

void TrainLoop::collect_down_to(int most, Time since) {
  while (step_.pending() > most) {
    collect_step(seconds_since(since));
    since = now();
  }
}

void TrainLoop::fail_not_finite(const Launched& launched, const StepResult& result) {
  const int64_t step = launched.step - 1;
  const std::string when = fmt::format("step {}", launched.step);
  Model& model = *setup_.model;
  if (setup_.device.is_cuda()) {
    // Parameters are still those the step began with, but later steps reused its gradients.
    const StepInput input = step_input(step);
    const Tensor targets = Tensor::empty({input.images.size(0), setup_.data.info().classes()},
                                         DType::f32, Tag::data, Device());
    cpu::soft_targets(input.labels, options_.smoothing, targets);
    model.parameters().zero_grad();
    guarded(launched.step, [&] {
      const Tensor wanted = targets.to(setup_.device);
      if (input.head_only)
        model.forward_backward_head(input.images, wanted, input.loss);
      else
        model.forward_backward(input.images, wanted, input.loss);
    });
  }
  try {
    model.check_finite(when);
  } catch (const Error& error) {
    fail(error.kind(), "{}; {}", error.what(), advice());
  }
  fail(ErrorKind::numerics,
       "{}: the loss is {} with finite parameters and gradients (L_X {}, L_Y {}); {}", when,
       result.loss, result.nll_joint, result.cross_entropy, advice());
}

std::string TrainLoop::advice() const {
  const int64_t taken = current_step() - times_.first_step;
  std::string text;
  if (taken > 1)
    text = fmt::format("the loss went from {:.4g} to {:.4g} in {} steps; ", first_loss_, last_loss_,
                       taken);
  text += fmt::format("lower --lr ({})", options_.sgd.learning_rate);
  if (options_.sgd.clip_norm == 0.0 || options_.sgd.clip_norm > 1.0)
    text += options_.sgd.clip_norm == 0.0
                ? ", set --clip-grad"
                : fmt::format(" or --clip-grad ({})", options_.sgd.clip_norm);
  if (setup_.flow != nullptr) text += fmt::format(" or --clamp ({})", setup_.model->config().clamp);
  if (saved_step_ > 0) text += fmt::format("; the newest checkpoint is step-{}", saved_step_);
  return text;
}

void TrainLoop::start_finetune() {
  state_.finetune_from = current_step();
  if (state_.has_best) checkpoints_.load_best();
  log_info("step {}: {} alone from here on", current_step(),
           setup_.flow != nullptr ? "the class means" : "the linear layer");
}

void TrainLoop::end_step(Time launched_at) {
  const auto ends_period = [&](int64_t steps) { return steps > 0 && current_step() % steps == 0; };
  const bool validates = options_.validate_every > 0.0 && !state_.finished(setup_) &&
                         ends_period(setup_.steps_of(options_.validate_every));
  const bool checks = ends_period(options_.check_every);
  // With every validation too: its best checkpoint must not be newer than where a run can go on.
  const bool saves = validates || ends_period(checkpoint_period());
  // A GPU is left a step to do while the host prepares the next one; what needs the weights as they
  // are waits for it.
  collect_down_to(setup_.device.is_cuda() && !validates && !checks && !saves ? 1 : 0, launched_at);
  // A profile is of steps alone: no validation, no checkpoints.
  Profiler::disable();
  // Also at the last of --max-steps: the numbers must not depend on where a run was cut.
  if (validates)
    validate();
  else if (checks)
    best_.check_sample(elapsed());
  if (saves) save_step();
}

void TrainLoop::validate() {
  state_.validation_due = true;
  best_.validate(elapsed());
}

void TrainLoop::save_step() {
  const Time before = now();
  checkpoints_.save_step();
  saved_step_ = current_step();
  save_seconds_ = seconds_since(before);
}

void TrainLoop::begin_profiled_step() {
  // The first step makes plans; they would hide the kernels of a short run.
  if (current_step() == times_.first_step + 1) {
    collect_down_to(0, now());
    Profiler::reset();
    unprofiled_ = {current_step(), times_.seconds};
  }
  Profiler::enable(!options_.trace.empty());
}

void TrainLoop::finish_profile() const {
  if (options_.profile)
    print_profile(setup_, current_step() - unprofiled_.first_step,
                  times_.seconds - unprofiled_.seconds);
  if (!options_.trace.empty()) write_atomic(options_.trace, Profiler::chrome_trace());
}

bool TrainLoop::trains_head() const {
  return state_.finetuning() || options_.freeze == Freeze::network;
}

bool TrainLoop::averages() const {
  return options_.recalibrate > 0 && options_.freeze == Freeze::none;
}

bool TrainLoop::out_of_time() const {
  const int64_t steps = current_step() - times_.first_step;
  if (options_.max_time <= 0.0 || steps == 0) return false;
  // A forward pass takes about a third of a step.
  constexpr double kForward = 0.4;
  const double step = times_.seconds / static_cast<double>(steps);
  double end = best_.last_seconds();
  if (end == 0.0)
    end = kForward * step * static_cast<double>(setup_.data.validation_images().size()) /
          static_cast<double>(options_.batch_size);
  if (averages()) end += kForward * step * static_cast<double>(options_.recalibrate);
  // The step checkpoint, `final` and `averaged`.
  end += 3.0 * save_seconds_ + step;
  return seconds_since(setup_.started) + end >= options_.max_time;
}

StopReason TrainLoop::take_steps() {
  const bool profiles = options_.profile || !options_.trace.empty();
  if (state_.validation_due) {
    validate();
    save_step();
  }
  while (!state_.finished(setup_)) {
    if (signal_.caught() != 0) return StopReason::signal;
    if (out_of_time()) return StopReason::max_time;
    if (state_.main_phase_done(setup_) && !state_.finetuning()) start_finetune();
    if (current_step() >= state_.last_step(setup_)) return StopReason::max_steps;
    if (profiles) begin_profiled_step();
    const Time before = now();
    launch_step();
    end_step(before);
  }
  return StopReason::complete;
}

void TrainLoop::finish(StopReason reason) {
  const std::string name = averages() ? "averaged" : "final";
  if (averages()) {
    checkpoints_.save("final");
    log_info("averaging the batch-norm statistics over {} batches", options_.recalibrate);
    reaverage_batch_norm(*setup_.model, setup_.data.training(), options_.recalibrate,
                         [this] { return signal_.caught() != 0; });
    state_.averaged = true;
  }
  const bool better = best_.validate_end(elapsed(), name, reason == StopReason::complete);
  if (const int64_t bad = setup_.data.bad_images(); bad > 0)
    log_warning("{} pictures could not be read and were left out: {}", bad,
                folder_.file("bad_images.txt"));
  checkpoints_.save(name);
  if (better) checkpoints_.link_best(name);
}

RunEnd TrainLoop::run_end(StopReason reason) const {
  return {reason, times_, before_, monitor_.worst()};
}

void TrainLoop::report_error() const {
  RunState reached = state_;
  reached.progress.step = collected_step_;
  try {
    report_run(setup_, reached, folder_, run_end(StopReason::error));
  } catch (const std::exception& error) {
    // What comes to the user is the first error.
    log_warning("{}", error.what());
  }
}

int TrainLoop::run() {
  StopReason reason = StopReason::signal;
  try {
    try {
      reason = take_steps();
    } catch (const Interrupted&) {
    }
    collect_down_to(0, now());
    line_.clear();
    if (current_step() != saved_step_ || state_.validation_due) save_step();
    try {
      if (reason != StopReason::signal) finish(reason);
    } catch (const Interrupted&) {
      reason = StopReason::signal;
    }
  } catch (const std::exception&) {
    line_.clear();
    report_error();
    throw;
  }
  report_run(setup_, state_, folder_, run_end(reason));
  if (reason == StopReason::signal) return signal_.exit_code();
  finish_profile();
  return 0;
}

}  // namespace pal
