#include "experiments/training/train_loop.h"

#include <fmt/format.h>

#include "experiments/measures/batch_norm_average.h"
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
      best_(setup, state, checkpoints, metrics_, line),
      monitor_(setup),
      step_(*setup.model, *setup.sgd, setup.use_graph),
      start_(now()),
      times_{current_step(), 0.0},
      unprofiled_(times_) {}

double TrainLoop::elapsed() const { return seconds_since(start_); }

int64_t TrainLoop::checkpoint_period() const {
  return options_.checkpoint_every > 0 ? options_.checkpoint_every : setup_.steps_per_epoch();
}

StepInput TrainLoop::step_input(int64_t step) {
  const int64_t epoch_steps = setup_.steps_per_epoch();
  const Batch batch = setup_.data.training().batch(step / epoch_steps, step % epoch_steps);
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
  input.head_only = state_.finetuning();
  if (input.head_only) input.sgd.learning_rate = 0.0;
  return input;
}

template <typename Body>
void TrainLoop::guarded(int64_t step, Body&& body) const {
  try {
    body();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::numerics) throw;
    fail(ErrorKind::numerics, "step {}: {}; lower --lr", step, error.what());
  }
}

void TrainLoop::launch_step() {
  Progress& progress = state_.progress;
  StepInput input;
  {
    const PhaseScope phase("input");
    input = step_input(progress.step);
  }
  input.eager = !state_.finetuning() && monitor_.watch(progress.step);
  {
    const PhaseScope phase("step");
    guarded(progress.step, [&] { step_.run(input); });
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
  times_.seconds += seconds;
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
  const std::string when = fmt::format("step {}", step);
  Model& model = *setup_.model;
  if (setup_.device.is_cuda()) {
    // Parameters are still those the step began with, but later steps reused its gradients.
    const StepInput input = step_input(step);
    const Tensor targets = Tensor::empty({input.images.size(0), setup_.data.info().classes()},
                                         DType::f32, Tag::data, Device());
    cpu::soft_targets(input.labels, options_.smoothing, targets);
    model.parameters().zero_grad();
    guarded(step,
            [&] { model.forward_backward(input.images, targets.to(setup_.device), input.loss); });
  }
  model.check_finite(when);
  fail(ErrorKind::numerics,
       "{}: the loss is {} with finite parameters and gradients (L_X {}, L_Y {}); lower --lr", when,
       result.loss, result.nll_joint, result.cross_entropy);
}

void TrainLoop::start_finetune() {
  state_.finetune_from = current_step();
  if (state_.has_best) checkpoints_.load_best();
  log_info("step {}: the class means alone from here on", current_step());
}

void TrainLoop::end_step(Time launched_at) {
  const auto ends_period = [&](int64_t steps) { return steps > 0 && current_step() % steps == 0; };
  const bool validates = options_.validate_every > 0.0 && !state_.finished(setup_) &&
                         ends_period(setup_.steps_of(options_.validate_every));
  const bool checks = ends_period(options_.check_every);
  const bool saves = ends_period(checkpoint_period());
  // A GPU is left a step to do while the host prepares the next one; what needs the weights as they
  // are waits for it.
  collect_down_to(setup_.device.is_cuda() && !validates && !checks && !saves ? 1 : 0, launched_at);
  // A profile is of steps alone: no validation, no checkpoints.
  Profiler::disable();
  // Also at the last of --max-steps: the numbers must not depend on where a run was cut.
  if (validates)
    best_.validate(elapsed());
  else if (checks)
    best_.check_sample(elapsed());
  if (saves) checkpoints_.save_step();
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

void TrainLoop::finish(bool complete) {
  if (complete) {
    checkpoints_.save("final");
    if (options_.recalibrate > 0) {
      reaverage_batch_norm(*setup_.model, setup_.data.training(), options_.recalibrate);
      checkpoints_.save("averaged");
    }
    best_.validate(elapsed());
  }
  report_run(setup_, state_, folder_, times_, monitor_.worst(), complete);
}

int TrainLoop::run() {
  const bool profiles = options_.profile || !options_.trace.empty();
  bool out_of_time = false;
  while (!state_.finished(setup_) && !out_of_time && signal_.caught() == 0) {
    if (state_.main_phase_done(setup_) && !state_.finetuning()) start_finetune();
    if (current_step() >= state_.last_step(setup_)) break;
    if (profiles) begin_profiled_step();
    const Time before = now();
    launch_step();
    end_step(before);
    out_of_time = options_.max_time > 0.0 && elapsed() >= options_.max_time;
  }
  collect_down_to(0, now());
  line_.clear();
  if (current_step() % checkpoint_period() != 0 && current_step() > times_.first_step)
    checkpoints_.save_step();
  if (signal_.caught() != 0) {
    log_info("stopped by a signal at step {}; go on with --resume auto", current_step());
    return signal_.exit_code();
  }
  finish(state_.finished(setup_) || out_of_time);
  finish_profile();
  return 0;
}

}  // namespace pal
