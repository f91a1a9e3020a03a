#include "experiments/trainer.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "experiments/program.h"
#include "kernels/planned.h"
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
constexpr int64_t kValidationBatch = 500;

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
  LoaderOptions evaluation = evaluation_options(loader);
  evaluation.batch_size = kValidationBatch;
  validation_loader_ = std::make_unique<BatchLoader>(set_, split.validation, evaluation);

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
    try {
      every = std::stoll(options_.stream_anchors);
    } catch (const std::exception&) {
      every = -1;
    }
    expect(every >= 1, "--stream-anchors: expected auto, none or a number of blocks, got '{}'",
           options_.stream_anchors);
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
  double log_std = 0.0;
  for (const float s : input_.std) log_std += std::log(static_cast<double>(s));
  log_std /= static_cast<double>(input_.std.size());
  const double log_classes = std::log(static_cast<double>(set_.classes));
  return (nll_joint + log_classes / static_cast<double>(model_->dims()) +
          0.5 * std::log(2.0 * M_PI) + log_std + std::log(255.0)) /
         std::log(2.0);
}

void Trainer::print_plan() const {
  const auto& store = model_->parameters();
  print_result(fmt::format(
      "model {} at {}x{}x{}, {} classes: {} blocks, {} network parameters, {} in all",
      model_->config().arch, set_.height, set_.width, set_.channels, set_.classes,
      model_->chain().size(), store.count(ParameterGroup::network), store.all_values().numel()));
  Shape shape{options_.batch_size, set_.height, set_.width, set_.channels};
  for (int i = 0; i < model_->chain().size(); ++i) {
    const Shape out = model_->chain().block(i).output_shape(shape);
    print_result(fmt::format("  {:<12} {:<22} {:>20} -> {}", model_->chain().name(i),
                             model_->chain().block(i).kind(), shape.str(), out.str()));
    shape = out;
  }
  print_result(
      fmt::format("parameters, gradients and momentum: {}; activations: {} (one stream is {})",
                  format_bytes(3 * store.all_values().bytes()),
                  options_.activation_memory == "max" ? "all stored" : "rebuilt by inversion",
                  format_bytes(options_.batch_size * model_->dims() * 4)));
  print_result(fmt::format("{} training and {} validation images, {} steps per epoch, {} steps",
                           train_loader_->count(), validation_loader_->count(), steps_per_epoch(),
                           last_step()));
}

std::map<std::string, std::string> Trainer::extra_metadata() const {
  nlohmann::ordered_json state = {{"plateau",
                                   {{"best", plateau_.best},
                                    {"has_best", plateau_.has_best},
                                    {"bad_epochs", plateau_.bad_epochs},
                                    {"drops", plateau_.drops},
                                    {"finished", plateau_.finished}}},
                                  {"best_entropy", best_entropy_},
                                  {"best_density", best_density_},
                                  {"has_best", has_best_}};
  return {{"recipe", recipe_json(options_)},
          {"trainer", state.dump()},
          {"threads", std::to_string(thread_count())},
          {"data_fingerprint", fmt::format("{:016x}", set_.fingerprint)}};
}

void Trainer::check_resume(const Checkpoint& checkpoint, const std::string& path) const {
  const ModelConfig saved = checkpoint_config(checkpoint, path);
  std::vector<std::string> differences;
  for (const std::string& name : field_names()) {
    const std::string before = field_text(saved, name);
    const std::string now = field_text(model_->config(), name);
    if (before != now) differences.push_back(fmt::format("{} was {}, is {}", name, before, now));
  }
  const auto entry = [&](const char* key) {
    const auto found = checkpoint.metadata.find(key);
    return found == checkpoint.metadata.end() ? std::string() : found->second;
  };
  const auto recipe = nlohmann::json::parse(entry("recipe"), nullptr, false);
  if (!recipe.is_object())
    fail(ErrorKind::data, "{}: holds no training recipe; use --init-from to start from its weights",
         path);
  const auto mine = nlohmann::ordered_json::parse(recipe_json(options_));
  for (const auto& [key, now] : mine.items()) {
    const std::string before = recipe.contains(key) ? recipe[key].dump() : "unset";
    if (before != now.dump())
      differences.push_back(fmt::format("{} was {}, is {}", key, before, now.dump()));
  }
  if (!differences.empty()) {
    std::string list;
    for (const auto& difference : differences) list += (list.empty() ? "" : "; ") + difference;
    fail(ErrorKind::usage, "--resume: {}: other settings than the run's: {}", path, list);
  }
  if (entry("data_fingerprint") != fmt::format("{:016x}", set_.fingerprint) &&
      !options_.allow_data_change)
    fail(ErrorKind::usage, "--resume: {}: the data changed since; use --allow-data-change to go on",
         path);
  if (entry("threads") != std::to_string(thread_count()))
    log_warning(
        "--resume: the run used {} threads, now {}: sums in weight gradients may round "
        "differently",
        entry("threads"), thread_count());
}

void Trainer::resume() {
  std::string path = options_.resume;
  if (path == "auto") {
    const auto found = find_resume(folder_->path());
    if (!found) return;
    path = *found;
  }
  const Checkpoint checkpoint = load_checkpoint(path);
  check_resume(checkpoint, path);
  load_state(checkpoint, path, *model_, sgd_.get());
  progress_ = checkpoint_progress(checkpoint);
  const auto state = nlohmann::json::parse(checkpoint.metadata.at("trainer"), nullptr, false);
  if (!state.is_object()) fail(ErrorKind::data, "{}: the entry trainer is not JSON", path);
  try {
    best_entropy_ = state.at("best_entropy");
    best_density_ = state.at("best_density");
    has_best_ = state.at("has_best");
    const auto& plateau = state.at("plateau");
    plateau_ = {plateau.at("best"), plateau.at("has_best"), plateau.at("bad_epochs"),
                plateau.at("drops"), plateau.at("finished")};
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::data, "{}: the entry trainer: {}", path, error.what());
  }
  rewind_metrics(folder_->file("metrics.jsonl"), progress_.step);
  log_info("resumed at step {} from {}", progress_.step, path);
}

void Trainer::write_run_file(const std::string& command) const {
  nlohmann::ordered_json run = {{"program", "pal-train"},
                                {"version", version()},
                                {"command", command},
                                {"device", "cpu"},
                                {"library", cpu_library_version()},
                                {"threads", thread_count()},
                                {"seed", options_.seed},
                                {"data", set_.name},
                                {"data_fingerprint", fmt::format("{:016x}", set_.fingerprint)}};
  write_atomic(folder_->file("run.json"), run.dump(2) + "\n");
}

void Trainer::log_start() const {
  log_info("palindrome {} on cpu, {} threads, {}", version(), thread_count(),
           cpu_library_version());
  log_info("{}: {} training, {} validation images {}x{}x{}, {} classes", set_.name,
           train_loader_->count(), validation_loader_->count(), set_.height, set_.width,
           set_.channels, set_.classes);
  log_info("{}: {} blocks, {} parameters ({} in the network), activations {}",
           model_->config().arch, model_->chain().size(), model_->parameters().all_values().numel(),
           model_->parameters().count(ParameterGroup::network),
           options_.activation_memory == "max" ? "stored" : "rebuilt by inversion");
  log_info("batch {}, {} steps, beta {}; output {}", options_.batch_size, last_step(),
           options_.beta_text, folder_->path());
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
  const MixtureResult result = model_->train_step(batch.images, targets, loss);
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

void Trainer::record_step(const StepStats& stats, double seconds) {
  const MemoryStats memory = Allocator::cpu().stats();
  MetricsRow row("train");
  row.set("t", elapsed()).set_count("step", progress_.step);
  row.set("epoch", static_cast<double>(progress_.step) / static_cast<double>(steps_per_epoch()));
  row.set("loss", stats.loss).set("loss_x", stats.nll_joint).set("loss_y", stats.cross_entropy);
  row.set("bits_per_dim", bits_per_dim(stats.nll_joint)).set("acc1", stats.accuracy);
  row.set("lr", options_.sgd.learning_rate *
                    schedule_factor(options_.schedule, plateau_, progress_.step - 1));
  row.set("grad_norm", stats.grad_norm);
  row.set("images_per_s", static_cast<double>(options_.batch_size) / seconds);
  row.set_json("memory",
               fmt::format(R"({{"parameters":{},"activations":{},"workspace":{},"peak":{}}})",
                           memory.peak_of(Tag::parameters), memory.peak_activations,
                           memory.peak_of(Tag::workspace), memory.peak_total));
  const InversionCheck& check = model_->chain().last_check();
  if (check.block >= 0) row.set("inversion_error", check.relative_error);
  metrics_->append(row);
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

std::string Trainer::progress_text(const StepStats& stats) const {
  const int64_t done = progress_.step - start_step_;
  const double rate = static_cast<double>(done) / std::max(1e-9, train_seconds_);
  const double left = static_cast<double>(last_step() - progress_.step) / std::max(1e-9, rate);
  const double fraction = static_cast<double>(progress_.step) / static_cast<double>(last_step());
  return fmt::format(
      "epoch {:.2f} {} loss {:.3f}  {:.2f} bits/dim  acc {:.1f} %  {:.0f} images/s  "
      "activations {}  ETA {}",
      static_cast<double>(progress_.step) / static_cast<double>(steps_per_epoch()),
      progress_bar(fraction, 20), stats.loss, bits_per_dim(stats.nll_joint), 100.0 * stats.accuracy,
      rate * static_cast<double>(options_.batch_size),
      format_bytes(Allocator::cpu().stats().peak_activations), format_duration(left));
}

bool Trainer::due(double every_epochs) const {
  if (every_epochs <= 0.0) return false;
  const auto every =
      std::max<int64_t>(1, std::llround(every_epochs * static_cast<double>(steps_per_epoch())));
  return progress_.step % every == 0;
}

ValidationResult Trainer::validate() {
  ValidationResult result;
  LossSpec loss;
  loss.beta = options_.beta;
  for (int64_t step = 0; step < validation_loader_->steps(); ++step) {
    const Batch batch = validation_loader_->batch(0, step);
    const int64_t n = batch.images.size(0);
    const Tensor targets = Tensor::empty({n, set_.classes}, DType::f32, Tag::data);
    PAL_BACKEND(targets, soft_targets(batch.labels, 0.0, targets));
    const MixtureResult part = model_->evaluate(batch.images, targets, loss);
    const auto weight = static_cast<double>(n);
    result.nll_joint += weight * mean_of(part.nll_joint);
    result.cross_entropy += weight * mean_of(part.cross_entropy);
    result.accuracy +=
        static_cast<double>(PAL_BACKEND(part.scores, count_top_k(part.scores, batch.labels, 1)));
    result.images += n;
  }
  const auto count = static_cast<double>(result.images);
  result.nll_joint /= count;
  result.cross_entropy /= count;
  result.accuracy /= count;
  result.bits_per_dim = bits_per_dim(result.nll_joint);
  return result;
}

void Trainer::validate_and_choose() {
  const ValidationResult result = validate();
  progress_line_->clear();
  log_info("validation at step {}: {:.2f} % top-1, {:.3f} bits/dim, L_X {:.4f}, CE {:.4f}",
           progress_.step, 100.0 * result.accuracy, result.bits_per_dim, result.nll_joint,
           result.cross_entropy);
  MetricsRow row("val");
  row.set("t", elapsed()).set_count("step", progress_.step);
  row.set("loss_x", result.nll_joint).set("loss_y", result.cross_entropy);
  row.set("bits_per_dim", result.bits_per_dim).set("acc1", result.accuracy);
  metrics_->append(row);
  const bool better_entropy = !has_best_ || result.cross_entropy < best_entropy_;
  const bool better_density = !has_best_ || result.nll_joint < best_density_;
  // The schedule watches what the best checkpoint is chosen by.
  const bool by_density = options_.beta < 0.5;
  observe(options_.schedule, plateau_, by_density ? result.nll_joint : result.cross_entropy);
  has_best_ = true;
  if (better_entropy) best_entropy_ = result.cross_entropy;
  if (better_density) best_density_ = result.nll_joint;
  if (better_entropy) save(folder_->checkpoints() + "/best-ce.safetensors");
  if (better_density) save(folder_->checkpoints() + "/best-nll.safetensors");
  if (by_density ? better_density : better_entropy)
    link_atomic(by_density ? "best-nll.safetensors" : "best-ce.safetensors",
                folder_->checkpoints() + "/best");
}

void Trainer::average_batch_norms() {
  if (options_.recalibrate == 0) return;
  const NoGradGuard no_grad;
  // Batches of an epoch that training does not see: its own augmentation, not a replay.
  const int64_t epoch = progress_.epoch + 1000000;
  for (int64_t k = 1; k <= options_.recalibrate; ++k) {
    model_->set_average_count(k);
    const Batch batch = train_loader_->batch(epoch, (k - 1) % steps_per_epoch());
    model_->forward(Variable(batch.images), Phase::train);
  }
  model_->set_average_count(0);
}

void Trainer::save(const std::string& path) {
  save_checkpoint(path, to_checkpoint(*model_, input_, progress_, sgd_.get(), extra_metadata()));
}

void Trainer::save_step() {
  const std::string path = step_checkpoint_path(folder_->path(), progress_.step);
  save(path);
  link_atomic(path.substr(path.find_last_of('/') + 1), folder_->checkpoints() + "/last");
  prune_checkpoints(folder_->path(), options_.keep_checkpoints);
}

void Trainer::finish(bool complete) {
  if (complete) {
    save(folder_->checkpoints() + "/final.safetensors");
    if (options_.recalibrate > 0) {
      average_batch_norms();
      save(folder_->checkpoints() + "/averaged.safetensors");
      validate_and_choose();
    }
  }
  const MemoryStats memory = Allocator::cpu().stats();
  const int64_t steps = progress_.step - start_step_;
  nlohmann::ordered_json summary = {
      {"step", progress_.step},
      {"complete", complete},
      {"images_per_s",
       static_cast<double>(steps * options_.batch_size) / std::max(1e-9, train_seconds_)},
      {"train_seconds", train_seconds_},
      {"validation_ce", best_entropy_},
      {"validation_nll_joint", best_density_},
      {"validation_bits_per_dim", bits_per_dim(best_density_)},
      {"inversion_error", worst_inversion_},
      {"peak_bytes", memory.peak_total},
      {"peak_activation_bytes", memory.peak_activations}};
  for (int tag = 0; tag < kTagCount; ++tag)
    summary["peak_bytes_by_tag"][name_of(static_cast<Tag>(tag))] =
        memory.peak[static_cast<size_t>(tag)];
  write_atomic(folder_->file("summary.json"), summary.dump(2) + "\n");
  if (options_.memory_report) print_result("memory: " + memory.table());
  if (options_.json)
    print_result(summary.dump());
  else
    print_result(fmt::format("results: {}", folder_->file("summary.json")));
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
    progress_line_->show(progress_text(stats));
    if (progress_.step < last_step() && due(options_.validate_every)) validate_and_choose();
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
