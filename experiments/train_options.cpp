#include "experiments/train_options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "experiments/options_file.h"
#include "runtime/error.h"

namespace pal {
namespace {

void add_data_options(CLI::App& app, TrainOptions& o) {
  const std::string group = "Data";
  app.add_option("DIR", o.data, "Folder with the data; default: where the dataset is installed")
      ->group(group);
  app.add_option("--dataset", o.dataset,
                 "fashion-mnist, digits, synthetic:CLASSES[:COUNT[:SIZE]] or a folder of IDX files")
      ->group(group)
      ->capture_default_str();
  app.add_option("-b,--batch-size", o.batch_size, "Images per step")
      ->group(group)
      ->capture_default_str();
  app.add_option("--flip", o.flip, "Mirror half of the images")
      ->group(group)
      ->capture_default_str();
  app.add_option("--shift", o.shift, "Move images by up to so many pixels")
      ->group(group)
      ->capture_default_str();
  app.add_option("--noise", o.noise, "Add uniform noise of one grey level (dequantisation)")
      ->group(group)
      ->capture_default_str();
  app.add_option(
         "--validation", o.validation,
         "Training images held out to choose checkpoints: a count, a fraction below 1, or 0 "
         "for 5,000 (10 % of small sets)")
      ->group(group)
      ->capture_default_str();
  app.add_option("--mean", o.mean,
                 "Mean of each colour, in [0, 1]; default 0.2860 (grey) or ImageNet's")
      ->group(group)
      ->delimiter(',');
  app.add_option("--std", o.std, "Deviation of each colour; default 0.3530 (grey) or ImageNet's")
      ->group(group)
      ->delimiter(',');
  app.add_flag("--allow-data-change", o.allow_data_change, "Resume although the data differ")
      ->group(group);
}

void add_model_options(CLI::App& app, TrainOptions& o) {
  const std::string group = "Model";
  app.add_option("-a,--arch", o.arch, "ibinn-imagenet, ibinn-small or ibinn-mnist")
      ->group(group)
      ->capture_default_str();
  app.add_option("--flavour", o.flavour, "reference (published code) or paper (the text)")
      ->group(group)
      ->capture_default_str();
  app.add_option("--dct-log-det", o.dct_log_det,
                 "true, or reported: the value in the published losses")
      ->group(group)
      ->capture_default_str();
  for (const std::string& name : field_names()) {
    if (name == "arch" || name == "image-size" || name == "channels" || name == "classes" ||
        name == "compute" || name == "dct-reported")
      continue;
    app.add_option_function<std::string>(
           "--" + name,
           [&o, name](const std::string& value) { o.fields.emplace_back(name, value); },
           "Model field; the preset's value by default")
        ->group(group)
        ->type_name("VALUE");
  }
}

void add_recipe_options(CLI::App& app, TrainOptions& o) {
  const std::string group = "Recipe";
  app.add_option("--beta", o.beta_text,
                 "Weight of the classes: L = (L_X + beta L_Y) / (1 + beta); 0 .. inf")
      ->group(group)
      ->capture_default_str();
  app.add_option("--epochs", o.epochs, "Length of the run and of its schedule")
      ->group(group)
      ->capture_default_str();
  app.add_option("--max-steps", o.max_steps, "Stop after this step (the schedule stays)")
      ->group(group)
      ->capture_default_str();
  app.add_option("--max-time", o.max_time, "Stop after so many seconds, with a checkpoint")
      ->group(group)
      ->capture_default_str();
  app.add_option("--lr", o.sgd.learning_rate, "Learning rate")->group(group)->capture_default_str();
  app.add_option("--lr-mu", o.lr_means, "Learning rate of the class means; default: --lr")
      ->group(group);
  app.add_option("--momentum", o.sgd.momentum, "Momentum")->group(group)->capture_default_str();
  app.add_option("--wd", o.sgd.weight_decay, "Weight decay of the network")
      ->group(group)
      ->capture_default_str();
  app.add_option("--clip-grad", o.sgd.clip_norm, "Largest gradient norm of the network; 0: none")
      ->group(group)
      ->capture_default_str();
  app.add_option("--sched", o.schedule_text,
                 "constant, step (/10 at --milestones), cosine, one-cycle (falls to 0 from "
                 "--decay-from on) or plateau (/10 twice, then stop)")
      ->group(group)
      ->capture_default_str();
  app.add_option("--milestones", o.schedule.milestones,
                 "Fractions of the run at which step divides")
      ->group(group)
      ->delimiter(',');
  app.add_option("--decay-from", o.schedule.decay_from,
                 "Fraction of the run from which one-cycle falls")
      ->group(group)
      ->capture_default_str();
  app.add_option("--warmup-steps", o.schedule.warmup_steps, "Linear warm-up")
      ->group(group)
      ->capture_default_str();
  app.add_option("--patience", o.schedule.patience,
                 "Validations without improvement before plateau divides")
      ->group(group)
      ->capture_default_str();
  app.add_option("--smoothing", o.smoothing, "Label smoothing")
      ->group(group)
      ->capture_default_str();
  app.add_option("--burn-in", o.burn_in, "First steps, with the loss times 0.05")
      ->group(group)
      ->capture_default_str();
  app.add_option("--data-init", o.data_init,
                 "Start with act norms fitted to a batch: centred channels of unit variance")
      ->group(group)
      ->capture_default_str();
  app.add_option("--recalibrate-bn", o.recalibrate,
                 "Batches to average batch-norm statistics over at the end; 0: none")
      ->group(group)
      ->capture_default_str();
}

void add_memory_options(CLI::App& app, TrainOptions& o) {
  const std::string group = "Memory and numerics";
  app.add_option("--activation-memory", o.activation_memory,
                 "min: rebuild activations by inversion; max: store them all")
      ->group(group)
      ->capture_default_str();
  app.add_option("--stream-anchors", o.stream_anchors,
                 "Blocks whose input is kept: auto (fp32 none, bf16 every 4), none, or every K-th")
      ->group(group)
      ->capture_default_str();
  app.add_option("--inversion-check-every", o.inversion_check_every,
                 "Steps between checks of one random block's inversion; 0: never")
      ->group(group)
      ->capture_default_str();
  app.add_option("--on-inversion-error", o.on_inversion_error, "stop (exit 5) or warn beyond 1e-1")
      ->group(group)
      ->capture_default_str();
  app.add_option("--memory-limit", o.memory_limit, "Refuse to use more, e.g. 2GiB")->group(group);
  app.add_flag("--memory-report", o.memory_report, "Print the peak memory by tag at the end")
      ->group(group);
}

void add_run_options(CLI::App& app, TrainOptions& o) {
  const std::string group = "Run";
  app.add_option("-o,--output", o.output, "Run folder")->group(group)->capture_default_str();
  app.add_option("--resume", o.resume, "auto (newest whole checkpoint of the folder) or a file")
      ->group(group);
  app.add_option("--init-from", o.init_from, "Start from the weights of a checkpoint")
      ->group(group);
  app.add_option("--checkpoint-every", o.checkpoint_every,
                 "Steps between checkpoints; 0: each epoch")
      ->group(group)
      ->capture_default_str();
  app.add_option("--keep-checkpoints", o.keep_checkpoints, "Step checkpoints to keep")
      ->group(group)
      ->capture_default_str();
  app.add_option("--validate-every", o.validate_every,
                 "Epochs between validations; 0: at the end only")
      ->group(group)
      ->capture_default_str();
  app.add_flag("--dry-run", o.dry_run, "Print the plan (shapes, parameters, memory) and stop")
      ->group(group);
  app.add_flag("--profile", o.profile, "Print time, bytes and rates by kernel at the end")
      ->group(group);
  app.add_option("--trace", o.trace, "Write a chrome://tracing file")
      ->group(group)
      ->type_name("FILE");
  add_compute_options(app, o.compute, group);
  app.add_option("--cuda-graph", o.cuda_graph,
                 "GPU: launch whole steps as a CUDA graph; auto (where possible), on or off")
      ->group(group)
      ->capture_default_str();
  app.add_option("--seed", o.seed, "Seed of everything random")
      ->group(group)
      ->capture_default_str();
  app.add_flag("--json", o.json, "Print the summary as JSON")->group(group);
  app.add_flag("-q,--quiet", o.quiet, "Only warnings and results")->group(group);
  app.add_flag("-v,--verbose", o.verbose, "More lines")->group(group);
  app.add_option("--progress", o.progress, "auto, never or always")
      ->group(group)
      ->capture_default_str();
}

template <typename T>
T one_of(const std::string& flag, const std::string& text,
         const std::vector<std::pair<std::string, T>>& known) {
  std::string names;
  for (const auto& [name, value] : known) {
    if (name == text) return value;
    names += (names.empty() ? "" : ", ");
    names += name;
  }
  fail(ErrorKind::usage, "{}: expected one of {}, got '{}'", flag, names, text);
}

void check_ranges(const TrainOptions& o) {
  expect(o.batch_size >= 1, "--batch-size: expected at least 1, got {}", o.batch_size);
  expect(o.epochs > 0.0, "--epochs: expected a number above 0, got {}", o.epochs);
  expect(o.max_steps >= 0, "--max-steps: expected at least 0, got {}", o.max_steps);
  expect(o.max_time >= 0.0, "--max-time: expected at least 0, got {}", o.max_time);
  expect(o.sgd.learning_rate >= 0.0, "--lr: expected at least 0, got {}", o.sgd.learning_rate);
  expect(o.sgd.momentum >= 0.0 && o.sgd.momentum < 1.0, "--momentum: expected 0 to below 1, got {}",
         o.sgd.momentum);
  expect(o.sgd.weight_decay >= 0.0, "--wd: expected at least 0, got {}", o.sgd.weight_decay);
  expect(o.sgd.clip_norm >= 0.0, "--clip-grad: expected at least 0, got {}", o.sgd.clip_norm);
  expect(o.smoothing >= 0.0 && o.smoothing < 1.0, "--smoothing: expected 0 to below 1, got {}",
         o.smoothing);
  expect(o.shift >= 0 && o.shift <= 64, "--shift: expected 0 to 64, got {}", o.shift);
  expect(o.schedule.decay_from >= 0.0 && o.schedule.decay_from < 1.0,
         "--decay-from: expected 0 to below 1, got {}", o.schedule.decay_from);
  expect(o.burn_in >= 0 && o.recalibrate >= 0 && o.checkpoint_every >= 0 &&
             o.inversion_check_every >= 0 && o.schedule.warmup_steps >= 0,
         "--burn-in, --recalibrate-bn, --checkpoint-every, --inversion-check-every, "
         "--warmup-steps: expected at least 0");
  expect(o.keep_checkpoints >= 1, "--keep-checkpoints: expected at least 1, got {}",
         o.keep_checkpoints);
  expect(o.validate_every >= 0.0, "--validate-every: expected at least 0, got {}",
         o.validate_every);
  expect(o.resume.empty() || o.init_from.empty(), "--init-from: does not go with --resume");
}

}  // namespace

int64_t parse_bytes(const std::string& text, const std::string& flag) {
  static const std::vector<std::pair<std::string, double>> units = {
      {"", 1.0},   {"B", 1.0},      {"kB", 1e3},        {"MB", 1e6},
      {"GB", 1e9}, {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}};
  double number = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(end, text.data() + text.size());
  for (const auto& [name, factor] : units)
    if (error == std::errc() && unit == name && number > 0.0 && number * factor < 9e18)
      return static_cast<int64_t>(number * factor);
  fail(ErrorKind::usage, "{}: expected bytes such as 512MiB, 2GB or 1073741824, got '{}'", flag,
       text);
}

double parse_beta(const std::string& text) {
  if (text == "inf" || text == "infinity") return std::numeric_limits<double>::infinity();
  double beta = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), beta);
  if (error != std::errc() || end != text.data() + text.size() || !(beta >= 0.0) ||
      std::isinf(beta))
    fail(ErrorKind::usage, "--beta: expected a number of at least 0 or inf, got '{}'", text);
  return beta;
}

void add_train_options(CLI::App& app, TrainOptions& options) {
  add_data_options(app, options);
  add_model_options(app, options);
  add_recipe_options(app, options);
  add_memory_options(app, options);
  add_run_options(app, options);
  add_config_option(app, options.config_file);
}

void finish_train_options(TrainOptions& o) {
  o.beta = parse_beta(o.beta_text);
  o.sgd.learning_rate_means = o.lr_means >= 0.0 ? o.lr_means : o.sgd.learning_rate;
  o.schedule.kind = one_of<ScheduleKind>("--sched", o.schedule_text,
                                         {{"constant", ScheduleKind::constant},
                                          {"step", ScheduleKind::step},
                                          {"cosine", ScheduleKind::cosine},
                                          {"one-cycle", ScheduleKind::one_cycle},
                                          {"plateau", ScheduleKind::plateau}});
  one_of<int>("--activation-memory", o.activation_memory, {{"min", 0}, {"max", 1}});
  one_of<int>("--on-inversion-error", o.on_inversion_error, {{"stop", 0}, {"warn", 1}});
  one_of<int>("--dct-log-det", o.dct_log_det, {{"true", 0}, {"reported", 1}});
  one_of<int>("--flavour", o.flavour, {{"reference", 0}, {"paper", 1}});
  one_of<int>("--progress", o.progress, {{"auto", 0}, {"never", 1}, {"always", 2}});
  one_of<int>("--cuda-graph", o.cuda_graph, {{"auto", 0}, {"on", 1}, {"off", 2}});
  check_ranges(o);
}

ModelConfig model_config(const TrainOptions& options, int64_t image_size, int64_t channels,
                         int64_t classes) {
  ModelConfig config = preset(options.arch);
  if (options.flavour == "paper") apply_paper_flavour(config);
  config.image_size = image_size;
  config.channels = channels;
  config.classes = classes;
  config.compute = options.compute.precision == "bf16" ? DType::bf16 : DType::f32;
  config.dct_reported = options.dct_log_det == "reported";
  for (const auto& [name, value] : options.fields) set_field(config, name, value, "--" + name);
  validate(config);
  return config;
}

std::string recipe_json(const TrainOptions& o) {
  const nlohmann::ordered_json recipe = {{"dataset", o.dataset},
                                         {"batch-size", o.batch_size},
                                         {"flip", o.flip},
                                         {"shift", o.shift},
                                         {"noise", o.noise},
                                         {"validation", o.validation},
                                         {"beta", o.beta_text},
                                         {"epochs", o.epochs},
                                         {"lr", o.sgd.learning_rate},
                                         {"lr-mu", o.sgd.learning_rate_means},
                                         {"momentum", o.sgd.momentum},
                                         {"wd", o.sgd.weight_decay},
                                         {"clip-grad", o.sgd.clip_norm},
                                         {"sched", o.schedule_text},
                                         {"milestones", o.schedule.milestones},
                                         {"decay-from", o.schedule.decay_from},
                                         {"warmup-steps", o.schedule.warmup_steps},
                                         {"patience", o.schedule.patience},
                                         {"smoothing", o.smoothing},
                                         {"burn-in", o.burn_in},
                                         {"data-init", o.data_init},
                                         {"recalibrate-bn", o.recalibrate},
                                         {"validate-every", o.validate_every},
                                         {"activation-memory", o.activation_memory},
                                         {"stream-anchors", o.stream_anchors},
                                         {"seed", o.seed}};
  return recipe.dump();
}

}  // namespace pal
