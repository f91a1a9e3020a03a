#include "experiments/training/trainer.h"
#include "runtime/byte_count.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "experiments/command_line/program.h"
#include "kernels/loss/softmax.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/log.h"
#include "runtime/parallel.h"
#include "runtime/philox.h"
#include "runtime/profiler.h"

namespace pal {
namespace {

constexpr double kBurnInFactor = 0.05;
constexpr double kInversionWarning = 1e-3;
constexpr double kInversionWarningBf16 = 2e-2;
constexpr double kInversionLimit = 1e-1;

/// Sets the limit before the data are loaded, and measures what a profile is compared with before
/// memory is counted.
Device prepared_device(const TrainOptions& options, MeasuredRoofs& roofs) {
  const Device device = apply_compute_options(options.compute);
  if (options.profile && !options.dry_run) {
    roofs = measure_roofs(device);
    Profiler::set_roofs(roofs.roofs(options.compute.precision == "bf16"));
    Allocator::of(device).reset_peaks();
  }
  if (!options.memory_limit.empty())
    Allocator::of(device).set_limit(parse_bytes(options.memory_limit, "--memory-limit"));
  return device;
}

}  // namespace

Trainer::Trainer(const TrainOptions& options)
    : options_(options), device_(prepared_device(options, roofs_)), data_(options, device_) {
  const DatasetInfo& images = data_.info();
  const ModelConfig config =
      model_config(options, images.height, images.channels, images.classes());
  model_ = build_model(config);
  flow_ = dynamic_cast<IbInn*>(model_.get());
  expect(flow_ != nullptr || options.finetune_epochs == 0.0, "--finetune-mu: {} has no class means",
         config.arch);
  plan_ = plan_memory(config, options.batch_size, device_, options.memory);
  model_->materialise(options.seed);
  model_->to(device_);
  sgd_ = std::make_unique<Sgd>(model_->parameters());
  set_up_memory();
  step_ = std::make_unique<TrainStep>(*model_, *sgd_, wants_graph());
  options_.schedule.total_steps =
      std::max<int64_t>(1, std::llround(options.epochs * static_cast<double>(steps_per_epoch())));
}

void Trainer::set_up_memory() {
  model_->set_policies(plan_.policies);
  if (flow_ == nullptr) return;
  for (size_t i = 0; i < plan_.policies.size(); ++i)
    if (plan_.policies[i].policy == ActivationPolicy::invert)
      inverted_.push_back(static_cast<int>(i));
  ChainOptions chain = flow_->chain().options();
  const bool bf16 = model_->config().compute == DType::bf16;
  int64_t every = 0;
  if (options_.stream_anchors == "auto") {
    // A float32 stream with float32 subnets drifts too little to matter; with bf16 subnets
    // roundings flip (architecture.md), so the drift is reset every four blocks.
    every = bf16 && !inverted_.empty() ? 4 : 0;
  } else if (options_.stream_anchors != "none") {
    const std::string& text = options_.stream_anchors;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, every);
    expect(error == std::errc() && stop == end && every >= 1,
           "--stream-anchors: expected auto, none or a number of blocks, got '{}'", text);
  }
  for (int64_t i = every; every > 0 && i < flow_->chain().size(); i += every)
    chain.anchors.push_back(static_cast<int>(i));
  flow_->chain().set_options(chain);
}

int64_t Trainer::finetune_steps() const {
  return std::llround(options_.finetune_epochs * static_cast<double>(steps_per_epoch()));
}

bool Trainer::main_phase_done() const {
  return progress_.step >= options_.schedule.total_steps || plateau_.finished;
}

bool Trainer::finished() const {
  if (finetune_from_ >= 0) return progress_.step >= finetune_from_ + finetune_steps();
  return main_phase_done() && finetune_steps() == 0;
}

int64_t Trainer::last_step() const {
  const int64_t main = finetune_from_ >= 0 ? finetune_from_ : options_.schedule.total_steps;
  const int64_t total = main + finetune_steps();
  return options_.max_steps > 0 ? std::min(options_.max_steps, total) : total;
}

double Trainer::elapsed() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

double Trainer::bits_per_dim(double nll_joint) const {
  return pal::bits_per_dim(nll_joint, data_.info().classes(), model_->dims(), data_.input().std);
}

bool Trainer::wants_graph() const {
  const std::string& wanted = options_.cuda_graph;
  if (device_.is_cpu()) {
    expect(wanted != "on", "--cuda-graph: on needs --device cuda");
    return false;
  }
  const MixingKind mixing = model_->config().mixing;
  const bool possible = mixing != MixingKind::householder && mixing != MixingKind::conv1x1;
  expect(possible || wanted != "on",
         "--cuda-graph: a learned mixing is computed on the host in each step; use off");
  return wanted != "off" && possible && !options_.profile && options_.trace.empty();
}

StepInput Trainer::step_input(int64_t step) {
  const Batch batch = data_.training().batch(step / steps_per_epoch(), step % steps_per_epoch());
  StepInput input;
  input.images = batch.images;
  input.labels = batch.labels;
  input.smoothing = options_.smoothing;
  input.loss.beta = options_.beta;
  input.loss.factor = step < options_.burn_in ? kBurnInFactor : 1.0;
  input.sgd = options_.sgd;
  const double factor = schedule_factor(options_.schedule, plateau_, step);
  input.sgd.learning_rate *= factor;
  input.sgd.learning_rate_means *= factor;
  input.means_only = finetune_from_ >= 0;
  if (input.means_only) input.sgd.learning_rate = 0.0;
  return input;
}

template <typename Body>
void Trainer::guarded(int64_t step, Body&& body) const {
  try {
    body();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::numerics) throw;
    fail(ErrorKind::numerics, "step {}: {}; lower --lr", step, error.what());
  }
}

void Trainer::launch_step() {
  StepInput input;
  {
    const PhaseScope phase("input");
    input = step_input(progress_.step);
  }
  input.eager = watch_inversion();
  {
    const PhaseScope phase("step");
    guarded(progress_.step, [&] { step_->run(input); });
  }
  ++progress_.step;
  progress_.epoch = progress_.step / steps_per_epoch();
  progress_.samples_seen += input.images.size(0);
  launched_.push_back({progress_.step, input.sgd.learning_rate});
}

void Trainer::collect_step(double seconds) {
  const StepResult result = step_->take();
  const Launched launched = launched_.front();
  launched_.pop_front();
  if (!result.finite()) fail_not_finite(launched, result);
  train_seconds_ += seconds;
  record_step(launched, result, seconds);
  judge_inversion(launched.step);
  progress_line_->show(progress_text(result));
}

void Trainer::begin_profiled_step() {
  // The first step makes plans; they would hide the kernels of a short run.
  if (progress_.step == start_step_ + 1) {
    collect_down_to(0, std::chrono::steady_clock::now());
    Profiler::reset();
    unprofiled_seconds_ = train_seconds_;
    profiled_from_ = progress_.step;
  }
  Profiler::enable(!options_.trace.empty());
}

void Trainer::collect_down_to(int most, std::chrono::steady_clock::time_point since) {
  while (step_->pending() > most) {
    collect_step(std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count());
    since = std::chrono::steady_clock::now();
  }
}

void Trainer::fail_not_finite(const Launched& launched, const StepResult& result) {
  const int64_t step = launched.step - 1;
  const std::string when = fmt::format("step {}", step);
  if (device_.is_cuda()) {
    // Parameters are still those the step began with, but later steps reused its gradients.
    const StepInput input = step_input(step);
    const Tensor targets = Tensor::empty({input.images.size(0), data_.info().classes()}, DType::f32,
                                         Tag::data, Device());
    cpu::soft_targets(input.labels, options_.smoothing, targets);
    model_->parameters().zero_grad();
    guarded(step, [&] { model_->train_step(input.images, targets.to(device_), input.loss); });
  }
  model_->check_finite(when);
  fail(ErrorKind::numerics,
       "{}: the loss is {} with finite parameters and gradients (L_X {}, L_Y {}); lower --lr", when,
       result.loss, result.nll_joint, result.cross_entropy);
}

bool Trainer::watch_inversion() {
  const int64_t every = options_.inversion_check_every;
  if (inverted_.empty() || every == 0 || finetune_from_ >= 0 || progress_.step % every != 0)
    return false;
  const Philox random(options_.seed, RandomPurpose::monitor, static_cast<uint64_t>(progress_.step));
  flow_->chain().monitor_next(
      inverted_[static_cast<size_t>(random.below(0, static_cast<uint64_t>(inverted_.size())))]);
  return true;
}

void Trainer::judge_inversion(int64_t step) {
  if (inverted_.empty()) return;
  const InversionCheck& check = flow_->chain().last_check();
  if (check.block < 0) return;
  worst_inversion_ = std::max(worst_inversion_, check.relative_error);
  const bool bf16 = model_->config().compute == DType::bf16;
  if (!(check.relative_error < kInversionLimit) && options_.on_inversion_error == "stop")
    fail(ErrorKind::numerics,
         "step {}: {} is rebuilt with a relative error of {:.2g}, more than {}; use "
         "--stream-anchors "
         "or a smaller --lr",
         step, check.name, check.relative_error, kInversionLimit);
  if (check.relative_error > (bf16 ? kInversionWarningBf16 : kInversionWarning) &&
      options_.inversion_check_every > 0 && (step - 1) % options_.inversion_check_every == 0)
    log_warning("step {}: {} is rebuilt with a relative error of {:.2g}", step, check.name,
                check.relative_error);
}

bool Trainer::due(double every_epochs) const {
  if (every_epochs <= 0.0) return false;
  const auto every =
      std::max<int64_t>(1, std::llround(every_epochs * static_cast<double>(steps_per_epoch())));
  return progress_.step % every == 0;
}

void Trainer::finish(bool complete) {
  if (complete) {
    save(folder_->checkpoints() + "/final.safetensors");
    if (options_.recalibrate > 0) {
      reaverage_batch_norm(*model_, data_.training(), options_.recalibrate);
      save(folder_->checkpoints() + "/averaged.safetensors");
    }
    validate_and_choose();
  }
  report(complete);
}

int Trainer::run(const std::string& command, const std::string& config_text) {
  folder_ = std::make_unique<RunFolder>(options_.output);
  if (options_.resume.empty() && find_resume(folder_->path()))
    fail(ErrorKind::usage, "--output: {} already holds a run; use --resume auto or another folder",
         folder_->path());
  set_log_file(folder_->file("log.txt"));
  progress_line_ =
      std::make_unique<ProgressLine>(options_.progress == "always"  ? ProgressMode::always
                                     : options_.progress == "never" ? ProgressMode::never
                                                                    : ProgressMode::automatic,
                                     options_.quiet);
  if (!options_.resume.empty()) resume();
  if (!options_.init_from.empty())
    load_state(load_checkpoint(options_.init_from), options_.init_from, *model_, nullptr);
  if (progress_.step == 0) {
    write_atomic(folder_->file("metrics.jsonl"), std::string());
    // A start from other weights keeps its act norms.
    if (flow_ != nullptr && options_.data_init && options_.init_from.empty())
      flow_->fit_act_norms(data_.training().batch(0, 0).images);
  }
  metrics_ = std::make_unique<MetricsFile>(folder_->file("metrics.jsonl"));
  write_atomic(folder_->file("config.toml"), config_text);
  write_run_file(command);
  log_start();

  start_ = std::chrono::steady_clock::now();
  start_step_ = profiled_from_ = progress_.step;
  const bool profiles = options_.profile || !options_.trace.empty();
  const int64_t every =
      options_.checkpoint_every > 0 ? options_.checkpoint_every : steps_per_epoch();
  bool out_of_time = false;
  while (!finished() && !out_of_time && signal_.caught() == 0) {
    if (main_phase_done() && finetune_from_ < 0) start_finetune();
    if (progress_.step >= last_step()) break;
    if (profiles) begin_profiled_step();
    const auto before = std::chrono::steady_clock::now();
    launch_step();
    const bool validates = !finished() && due(options_.validate_every);
    const bool checks = options_.check_every > 0 && progress_.step % options_.check_every == 0;
    const bool saves = progress_.step % every == 0;
    // A GPU is left a step to do while the host prepares the next one; what needs the weights as
    // they are waits for it.
    collect_down_to(device_.is_cuda() && !validates && !checks && !saves ? 1 : 0, before);
    // Steps alone: no validation, no checkpoints.
    Profiler::disable();
    // Also at a stop by --max-steps: the numbers must not depend on where a run was cut.
    if (validates)
      validate_and_choose();
    else if (checks)
      check_sample();
    if (saves) save_step();
    out_of_time = options_.max_time > 0.0 && elapsed() >= options_.max_time;
  }
  collect_down_to(0, std::chrono::steady_clock::now());
  progress_line_->clear();
  if (progress_.step % every != 0 && progress_.step > start_step_) save_step();
  if (signal_.caught() != 0) {
    log_info("stopped by a signal at step {}; go on with --resume auto", progress_.step);
    return signal_.exit_code();
  }
  finish(finished() || out_of_time);
  if (options_.profile) print_profile();
  if (!options_.trace.empty()) write_atomic(options_.trace, Profiler::chrome_trace());
  return 0;
}

}  // namespace pal
