#include "experiments/trainer.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "experiments/program.h"
#include "kernels/softmax.h"
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

std::vector<float> channel_default(const std::vector<float>& given, int64_t channels, float grey,
                                   const std::vector<float>& colour, const char* flag) {
  const std::vector<float> values =
      !given.empty() ? given : (channels == 1 ? std::vector<float>{grey} : colour);
  expect(static_cast<int64_t>(values.size()) == channels, "{}: expected {} values, got {}", flag,
         channels, values.size());
  return values;
}

double mean_of(const Tensor& per_sample) {
  return parallel_sum(per_sample.numel(), [&](int64_t i) { return per_sample.data<double>()[i]; }) /
         static_cast<double>(per_sample.numel());
}

}  // namespace

Trainer::Trainer(const TrainOptions& options) : options_(options) {
  parse_device(options.device);
  if (options.threads > 0) set_thread_count(options.threads);
  if (!options.memory_limit.empty())
    Allocator::cpu().set_limit(parse_bytes(options.memory_limit, "--memory-limit"));
  set_ = load_dataset(options.dataset, Split::train, options.data);
  input_.mean =
      channel_default(options.mean, set_.channels, 0.2860F, {0.485F, 0.456F, 0.406F}, "--mean");
  input_.std =
      channel_default(options.std, set_.channels, 0.3530F, {0.229F, 0.224F, 0.225F}, "--std");
  for (const float s : input_.std) expect(s > 0.0F, "--std: expected numbers above 0, got {}", s);
  input_.class_names = set_.class_names;

  const ValidationSplit split = split_validation(set_, options.validation, options.seed);
  LoaderOptions loader;
  loader.batch_size = options.batch_size;
  loader.seed = options.seed;
  loader.flip = options.flip;
  loader.shift = options.shift;
  loader.noise = options.noise;
  loader.mean = input_.mean;
  loader.std = input_.std;
  train_loader_ = std::make_unique<BatchLoader>(set_, split.train, loader);
  validation_ = split.validation;

  expect(set_.height == set_.width, "{}: expected square images, got {}x{}", set_.name, set_.width,
         set_.height);
  model_ = std::make_unique<IbInn>(model_config(options, set_.height, set_.channels, set_.classes),
                                   options.seed);
  sgd_ = std::make_unique<Sgd>(model_->parameters());
  set_up_chain();
  options_.schedule.total_steps =
      std::max<int64_t>(1, std::llround(options.epochs * static_cast<double>(steps_per_epoch())));
}

void Trainer::set_up_chain() {
  ChainOptions chain;
  chain.policies = {options_.activation_memory == "max" ? ActivationPolicy::store
                                                        : ActivationPolicy::invert};
  const bool bf16 = model_->config().compute == DType::bf16;
  int64_t every = 0;
  if (options_.stream_anchors == "auto") {
    // A float32 stream with float32 subnets drifts too little to matter; with bf16 subnets
    // roundings flip (architecture.md), so the drift is reset every four blocks.
    every = bf16 && options_.activation_memory == "min" ? 4 : 0;
  } else if (options_.stream_anchors != "none") {
    const std::string& text = options_.stream_anchors;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, every);
    expect(error == std::errc() && stop == end && every >= 1,
           "--stream-anchors: expected auto, none or a number of blocks, got '{}'", text);
  }
  for (int64_t i = every; every > 0 && i < model_->chain().size(); i += every)
    chain.anchors.push_back(static_cast<int>(i));
  model_->chain().set_options(chain);
}

int64_t Trainer::last_step() const {
  const int64_t total = options_.schedule.total_steps;
  return options_.max_steps > 0 ? std::min(options_.max_steps, total) : total;
}

double Trainer::elapsed() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

double Trainer::bits_per_dim(double nll_joint) const {
  return pal::bits_per_dim(nll_joint, set_.classes, model_->dims(), input_.std);
}

Trainer::StepStats Trainer::train_one_step() {
  const int64_t step = progress_.step;
  const Batch batch = train_loader_->batch(step / steps_per_epoch(), step % steps_per_epoch());
  const int64_t n = batch.images.size(0);
  const Tensor targets = Tensor::empty({n, set_.classes}, DType::f32, Tag::data);
  PAL_BACKEND(targets, soft_targets(batch.labels, options_.smoothing, targets));
  watch_inversion();
  LossSpec loss;
  loss.beta = options_.beta;
  loss.factor = step < options_.burn_in ? kBurnInFactor : 1.0;
  model_->parameters().zero_grad();
  const MixtureResult result = guarded_step(batch.images, targets, loss);
  SgdOptions sgd = options_.sgd;
  const double factor = schedule_factor(options_.schedule, plateau_, step);
  sgd.learning_rate *= factor;
  sgd.learning_rate_means *= factor;
  StepStats stats;
  stats.loss = result.loss / loss.factor;
  stats.nll_joint = mean_of(result.nll_joint);
  stats.cross_entropy = mean_of(result.cross_entropy);
  stats.accuracy =
      static_cast<double>(PAL_BACKEND(result.scores, count_top_k(result.scores, batch.labels, 1))) /
      static_cast<double>(n);
  if (std::isfinite(stats.loss)) stats.grad_norm = sgd_->step(sgd);
  check_step(stats);
  ++progress_.step;
  progress_.epoch = progress_.step / steps_per_epoch();
  progress_.samples_seen += n;
  return stats;
}

MixtureResult Trainer::guarded_step(const Tensor& images, const Tensor& targets,
                                    const LossSpec& loss) {
  try {
    return model_->train_step(images, targets, loss);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::numerics) throw;
    fail(ErrorKind::numerics, "step {}: {}; lower --lr", progress_.step, error.what());
  }
}

void Trainer::check_step(const StepStats& stats) const {
  if (std::isfinite(stats.loss) && std::isfinite(stats.grad_norm)) return;
  const std::string when = fmt::format("step {}", progress_.step);
  model_->check_finite(when);
  fail(ErrorKind::numerics,
       "{}: the loss is {} with finite parameters and gradients (L_X {}, L_Y {}); lower --lr", when,
       stats.loss, stats.nll_joint, stats.cross_entropy);
}

void Trainer::watch_inversion() {
  const int64_t every = options_.inversion_check_every;
  if (every == 0 || options_.activation_memory == "max" || progress_.step % every != 0) return;
  const Philox random(options_.seed, RandomPurpose::monitor, static_cast<uint64_t>(progress_.step));
  model_->chain().monitor_next(
      static_cast<int>(random.below(0, static_cast<uint64_t>(model_->chain().size()))));
}

void Trainer::judge_inversion() {
  const InversionCheck& check = model_->chain().last_check();
  if (check.block < 0 || options_.activation_memory == "max") return;
  worst_inversion_ = std::max(worst_inversion_, check.relative_error);
  const bool bf16 = model_->config().compute == DType::bf16;
  if (!(check.relative_error < kInversionLimit) && options_.on_inversion_error == "stop")
    fail(ErrorKind::numerics,
         "step {}: {} is rebuilt with a relative error of {:.2g}, more than {}; use "
         "--stream-anchors "
         "or a smaller --lr",
         progress_.step, check.name, check.relative_error, kInversionLimit);
  if (check.relative_error > (bf16 ? kInversionWarningBf16 : kInversionWarning) &&
      options_.inversion_check_every > 0 &&
      (progress_.step - 1) % options_.inversion_check_every == 0)
    log_warning("step {}: {} is rebuilt with a relative error of {:.2g}", progress_.step,
                check.name, check.relative_error);
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
      reaverage_batch_norm(*model_, *train_loader_, options_.recalibrate);
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
    if (options_.data_init && options_.init_from.empty())
      model_->fit_act_norms(train_loader_->batch(0, 0).images);
  }
  metrics_ = std::make_unique<MetricsFile>(folder_->file("metrics.jsonl"));
  write_atomic(folder_->file("config.toml"), config_text);
  write_run_file(command);
  log_start();
  if (options_.profile || !options_.trace.empty()) Profiler::enable(!options_.trace.empty());

  start_ = std::chrono::steady_clock::now();
  start_step_ = progress_.step;
  const int64_t every =
      options_.checkpoint_every > 0 ? options_.checkpoint_every : steps_per_epoch();
  bool out_of_time = false;
  while (progress_.step < last_step() && !plateau_.finished && !out_of_time &&
         signal_.caught() == 0) {
    const double before = elapsed();
    const StepStats stats = train_one_step();
    const double seconds = elapsed() - before;
    train_seconds_ += seconds;
    record_step(stats, seconds);
    judge_inversion();
    progress_line_->show(progress_text(stats));
    // Also at a stop by --max-steps: the numbers must not depend on where a run was cut.
    if (progress_.step < options_.schedule.total_steps && due(options_.validate_every))
      validate_and_choose();
    if (progress_.step % every == 0) save_step();
    out_of_time = options_.max_time > 0.0 && elapsed() >= options_.max_time;
  }
  progress_line_->clear();
  if (progress_.step % every != 0 && progress_.step > start_step_) save_step();
  Profiler::disable();
  if (signal_.caught() != 0) {
    log_info("stopped by a signal at step {}; go on with --resume auto", progress_.step);
    return signal_.exit_code();
  }
  finish(progress_.step >= options_.schedule.total_steps || plateau_.finished || out_of_time);
  if (options_.profile) print_result(Profiler::table());
  if (!options_.trace.empty()) write_atomic(options_.trace, Profiler::chrome_trace());
  return 0;
}

}  // namespace pal
