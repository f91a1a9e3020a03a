#include "experiments/training/train_loop.h"

#include <fmt/format.h>

#include <algorithm>

#include "experiments/measures/batch_norm_average.h"
#include "experiments/report/event_file.h"
#include "experiments/training/averaged_weights.h"
#include "experiments/training/step_advice.h"
#include "kernels/loss/softmax.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/log.h"
#include "runtime/profiler.h"
#include "runtime/text.h"

namespace pal {
namespace {

constexpr double kBurnInFactor = 0.05;

std::chrono::steady_clock::time_point now() { return std::chrono::steady_clock::now(); }

double seconds_since(std::chrono::steady_clock::time_point time) {
  return std::chrono::duration<double>(now() - time).count();
}

/// What the first rank with a fault found, by its name: each looks at its own images.
Fault first_fault(Ranks& ranks, const Fault& mine) {
  if (ranks.alone()) return mine;
  const std::vector<std::string> all =
      all_gather_texts(ranks.host(), fmt::format("{} {}", static_cast<int>(mine.place), mine.text));
  for (size_t r = 0; r < all.size(); ++r) {
    const auto place = static_cast<Fault::Place>(std::stoi(all[r]));
    if (place != Fault::Place::nowhere || r + 1 == all.size())
      return {place, fmt::format("rank {}: {}", r, all[r].substr(all[r].find(' ') + 1))};
  }
  return mine;
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
      // Rank 0 writes for all.
      metrics_(setup.ranks.is_first() ? folder.file("metrics.jsonl") : "/dev/null"),
      best_(setup, state, checkpoints, metrics_, line, signal_),
      pace_(setup, best_),
      monitor_(setup),
      step_(*setup.model, *setup.optimizer, setup.use_graph, setup.tensors(),
            {options_.bucket, options_.bucket_bf16}),
      start_(now()),
      before_(metrics_history(folder.file("metrics.jsonl"), options_.global_batch)),
      times_{current_step(), 0.0},
      saved_step_(current_step()),
      first_step_(current_step()),
      collected_step_(current_step()),
      unprofiled_(times_) {
  if (!options_.tensorboard || !setup.ranks.is_first()) return;
  const auto events = std::make_shared<EventFile>(folder.file("tensorboard"), current_step() + 1);
  metrics_.listen([events](const MetricsRow& row) { events->append(row); });
}

double TrainLoop::elapsed() const { return before_.seconds + seconds_since(start_); }

int64_t TrainLoop::checkpoint_period() const {
  return options_.checkpoint_every > 0 ? options_.checkpoint_every : setup_.steps_per_epoch();
}

StepInput TrainLoop::step_input(int64_t step, int part) {
  const int64_t epoch_steps = setup_.steps_per_epoch();
  Batches& training = setup_.data.training();
  const Batch batch = readable([&] {
    return training.batch(step / epoch_steps, step % epoch_steps * training.parts() + part,
                          [&](const Shape& images) { return step_.memory_for(images); });
  });
  StepInput input;
  input.images = batch.images;
  input.labels = batch.labels;
  input.whole = batch.whole;
  input.part = part;
  input.parts = static_cast<int>(training.parts());
  input.smoothing = options_.smoothing;
  input.loss.beta = options_.beta;
  input.loss.factor = step < options_.burn_in ? kBurnInFactor : 1.0;
  input.update = options_.update;
  // The burn-in's gradients say nothing about those to come.
  if (step < options_.burn_in) input.update.skip_outliers = 0.0;
  const double factor = state_.finetuning()
                            ? finetune_factor(options_.schedule, state_.plateau,
                                              step - state_.finetune_from, setup_.finetune_steps())
                            : schedule_factor(options_.schedule, state_.plateau, step);
  input.update.learning_rate *= factor;
  input.update.learning_rate_means *= factor;
  input.head_only = trains_head();
  // The rate that is shown is that of what learns.
  if (input.head_only && setup_.flow != nullptr)
    input.update.learning_rate = input.update.learning_rate_means;
  return input;
}

template <typename Body>
void TrainLoop::guarded(int64_t step, Body&& body) const {
  try {
    body();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::numerics) throw;
    fail(ErrorKind::numerics, "step {}: {}; {}", step, error.what(),
         advice(step - state_.guard.not_finite_in_row, Fault::Place::activation));
  }
}

void TrainLoop::launch_step() {
  Progress& progress = state_.progress;
  setup_.ranks.set_step(progress.step + 1);
  // Not before: the first step makes plans and reads indices, which takes as long as it takes.
  if (collected_step_ > first_step_) setup_.ranks.set_wait(options_.rank_timeout);
  StepInput input;
  bool watched = false;
  for (int part = 0; part < options_.share.parts; ++part) {
    {
      const PhaseScope phase("input");
      input = step_input(progress.step, part);
    }
    if (part == 0) watched = !input.head_only && monitor_.watch(progress.step);
    input.eager = watched;
    const PhaseScope phase("step");
    guarded(progress.step + 1, [&] { step_.run(input); });
  }
  ++progress.step;
  progress.epoch = progress.step / setup_.steps_per_epoch();
  progress.samples_seen += input.whole;
  launched_.push_back({progress.step, input.update.learning_rate, {}});
  // Now: the next step may be under way before this one is collected.
  if (watched) launched_.back().check = setup_.flow->chain().last_check();
}

void TrainLoop::collect_step(double seconds) {
  const StepResult result = step_.take();
  const Launched launched = launched_.front();
  launched_.pop_front();
  state_.guard = result.guard;
  // What a step that was not taken rebuilt says nothing about the network.
  if (result.taken()) monitor_.record(launched.check);
  metrics_.append(step_row(setup_, elapsed(), launched.step, launched.learning_rate, result,
                           monitor_.last(), seconds));
  if (result.halted()) fail_halted(launched);
  collected_step_ = launched.step;
  times_.seconds += seconds;
  pace_.add_step(seconds);
  if (result.taken()) {
    watch_.add(result.loss);
    last_loss_ = result.loss;
    last_norm_ = result.grad_norm;
    ++taken_;
    constexpr int64_t kRemembered = 50;
    mean_norm_ += (last_norm_ - mean_norm_) / static_cast<double>(std::min(taken_, kRemembered));
    if (launched.check.block >= 0) guarded(launched.step, [&] { monitor_.judge(launched.step); });
    note_climbing(launched.step);
  } else {
    note_skipped(launched, result);
  }
  line_.show(progress_text(setup_, state_, times_, result));
}

void TrainLoop::note_skipped(const Launched& launched, const StepResult& result) {
  constexpr int64_t kTold = 10;
  if (++skipped_ > kTold) return;
  line_.clear();
  const bool outlier = result.guard.verdict == StepVerdict::outlier;
  log_warning("step {} skipped: {} (loss {:.4g}, gradient norm {:.4g}); {} in a row, {} so far{}",
              launched.step,
              outlier ? fmt::format("an outlier beside a mean gradient norm of {:.4g}",
                                    result.guard.norm_mean)
                      : std::string("not finite"),
              result.loss, std::abs(result.grad_norm),
              outlier ? result.guard.outliers_in_row : result.guard.not_finite_in_row,
              result.guard.skipped(),
              skipped_ == kTold ? "; of more, metrics.jsonl and summary.json alone tell" : "");
}

void TrainLoop::note_climbing(int64_t step) {
  if (warned_ || trains_head() || !watch_.climbed()) return;
  warned_ = true;
  line_.clear();
  log_warning("step {}: the loss is above that of the first step, so this run does not learn; {}",
              step, advice(step, Fault::Place::activation));
}

void TrainLoop::warn_at_end() const {
  if (warned_ && watch_.climbed())
    log_warning("the loss ended at {:.4g}, above the {:.4g} of the first step: this is no model",
                watch_.mean(), watch_.first());
  const int64_t skipped = state_.guard.skipped();
  if (skipped > 0)
    log_warning("{} of {} steps were skipped (not finite or outliers)", skipped, current_step());
}

void TrainLoop::collect_down_to(int most, Time since) {
  while (step_.pending() > most) {
    collect_step(seconds_since(since));
    since = now();
  }
}

void TrainLoop::fail_halted(const Launched& launched) {
  // Weights are still those that the step began with.
  const StepInput input = step_input(launched.step - 1, 0);
  const Tensor targets = Tensor::empty({input.images.size(0), setup_.data.info().classes()},
                                       DType::f32, Tag::data, Device());
  cpu::soft_targets(input.labels, options_.smoothing, targets);
  // Each rank looks by itself.
  setup_.model->synchronise_norms(nullptr);
  Fault fault;
  guarded(launched.step, [&] {
    fault = find_fault(*setup_.model, input.images, targets.to(setup_.device), input.loss,
                       input.head_only);
  });
  fault = first_fault(setup_.ranks, fault);
  fail(ErrorKind::numerics,
       "step {}: {}; {} steps in a row were not finite, and --bad-steps {} may be skipped; {}",
       launched.step, fault.text, state_.guard.not_finite_in_row, options_.update.bad_steps,
       advice(launched.step - state_.guard.not_finite_in_row + 1, fault.place));
}

std::string TrainLoop::advice(int64_t step, Fault::Place place) const {
  StepHistory history;
  history.step = step;
  history.warmup_steps = options_.schedule.warmup_steps;
  history.first_loss = watch_.first();
  history.last_loss = last_loss_;
  history.taken = taken_;
  history.mean_norm = mean_norm_;
  history.last_norm = last_norm_;
  history.head_of_flow = setup_.flow != nullptr && trains_head();
  history.learning_rate =
      history.head_of_flow ? options_.update.learning_rate_means : options_.update.learning_rate;
  history.clip_norm = options_.update.clip_norm;
  if (setup_.flow != nullptr) history.clamp = setup_.model->config().clamp;
  history.bf16 = setup_.computes_bf16();
  std::string text = step_advice(history, place);
  if (saved_step_ == 0) return text;
  // The newest may hold what went wrong already.
  const std::vector<int64_t> steps = checkpoint_steps(folder_.path());
  text += fmt::format("; the newest checkpoint is step-{}", saved_step_);
  for (const int64_t earlier : steps)
    if (earlier < saved_step_)
      return text + fmt::format(", the one before it --resume {}",
                                shell_word(step_checkpoint_path(folder_.path(), earlier)));
  return text;
}

void TrainLoop::start_finetune() {
  collect_down_to(0, now());
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
  // Also at the last of --max-steps: the numbers must not depend on where a run was cut. Where
  // --max-time leaves no time for it, a run that goes on makes up for it.
  constexpr double kBestOnes = 2.0;
  // Ranks validate together, but each has a clock of its own.
  const double before_end = pace_.validation_seconds() + (kBestOnes + 1.0) * pace_.save_seconds();
  if (validates && any_rank(setup_.ranks.host(), pace_.out_of_time(before_end, averages()))) {
    state_.validation_due = true;
    return;
  }
  if (validates)
    validate();
  else if (checks)
    best_.check_sample(elapsed());
  // Where steps are skipped the weights are those of before, and may be what is wrong.
  if (validates || (saves && state_.guard.not_finite_in_row == 0)) save_step();
}

void TrainLoop::validate() {
  state_.validation_due = true;
  best_.validate(elapsed(), pace_.step_seconds());
}

void TrainLoop::save_step() {
  const Time before = now();
  setup_.data.share_bad_images(setup_.ranks.host());
  checkpoints_.save_step();
  saved_step_ = current_step();
  pace_.add_save(seconds_since(before));
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

double TrainLoop::next_step_seconds() const {
  const auto ends = [&](int64_t period) {
    return period > 0 && (current_step() + 1) % period == 0;
  };
  double seconds = pace_.step_seconds();
  if (ends(options_.check_every)) seconds += pace_.forward_seconds(options_.check_images);
  if (ends(checkpoint_period())) seconds += pace_.save_seconds();
  return seconds;
}

StopReason TrainLoop::take_steps() {
  const bool profiles = options_.profile || !options_.trace.empty();
  if (state_.validation_due) {
    validate();
    save_step();
  }
  while (!state_.finished(setup_)) {
    const Wishes wishes = agreed_wishes();
    if (wishes.signal != 0) return StopReason::signal;
    if (state_.validation_due || wishes.out_of_time) return StopReason::max_time;
    if (state_.main_phase_done(setup_) && !state_.finetuning()) start_finetune();
    if (current_step() >= state_.last_step(setup_)) return StopReason::max_steps;
    if (profiles) begin_profiled_step();
    const Time before = now();
    launch_step();
    end_step(before);
  }
  return StopReason::complete;
}

TrainLoop::Wishes TrainLoop::agreed_wishes() {
  Wishes mine = {signal_.caught(), pace_.out_of_time(next_step_seconds(), averages())};
  if (setup_.ranks.alone()) return mine;
  // A signal may reach one rank alone, or ranks at different steps; clocks differ too.
  setup_.ranks.check();
  const std::vector<double> most =
      max_over_ranks(setup_.ranks.host(), {static_cast<double>(mine.signal),  //
                                           mine.out_of_time ? 1.0 : 0.0});
  mine = {static_cast<int>(most[0]), most[1] > 0.0};
  if (mine.signal != 0) signal_.adopt(mine.signal);
  return mine;
}

bool TrainLoop::finish_weights(const std::string& name, StopReason reason) {
  if (averages()) {
    log_info("averaging the batch-norm statistics over {} batches{}", options_.recalibrate,
             state_.weights == Weights::ema ? " for the averaged weights" : "");
    reaverage_batch_norm(
        *setup_.model, setup_.data.training(), options_.recalibrate,
        [this] { return signal_.caught() != 0; },
        setup_.ranks.alone() ? nullptr : &setup_.ranks.host());
    state_.averaged = true;
  }
  const auto found = best_.validate_end(elapsed(), name, reason == StopReason::complete);
  if (!found) return false;
  checkpoints_.save(name);
  if (found->better) checkpoints_.link_best(name);
  return true;
}

void TrainLoop::finish(StopReason reason) {
  if (averages()) checkpoints_.save("final");
  bool finite = finish_weights(averages() ? "averaged" : "final", reason);
  const ValidationRecord of_raw = state_.last_validation;
  if (setup_.optimizer->average() != nullptr) {
    const AveragedWeights exchanged(setup_, state_);
    const bool average = finish_weights("ema", reason);
    if (finite) state_.last_validation = of_raw;
    finite = finite || average;
  }
  if (!finite)
    fail(ErrorKind::numerics, "step {}: no validation at the end was finite; {}", current_step(),
         advice(current_step(), Fault::Place::activation));
  if (const int64_t bad = setup_.data.bad_images(); bad > 0 && setup_.ranks.is_first())
    log_warning("{} pictures could not be read and were left out: {}", bad,
                folder_.file("bad_images.txt"));
}

RunEnd TrainLoop::run_end(StopReason reason) const {
  return {reason, times_, before_, monitor_.worst()};
}

void TrainLoop::report_error() const {
  if (!setup_.ranks.is_first()) return;
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
  warn_at_end();
  if (setup_.ranks.is_first()) report_run(setup_, state_, folder_, run_end(reason));
  if (reason == StopReason::signal) return signal_.exit_code();
  if (setup_.ranks.is_first()) finish_profile();
  return 0;
}

}  // namespace pal
