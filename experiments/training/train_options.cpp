#include "experiments/training/train_options.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "runtime/error.h"
#include "runtime/json.h"

namespace pal {
namespace {

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
  expect(o.finetune_epochs >= 0.0, "--finetune-mu: expected at least 0, got {}", o.finetune_epochs);
  expect(o.check_every >= 0 && o.check_images >= 1,
         "--check-every, --check-images: expected at least 0 and 1, got {} and {}", o.check_every,
         o.check_images);
  expect(o.classes >= 0 && o.classes <= 1'000'000, "--classes: expected 1 to 1000000, got {}",
         o.classes);
  expect(o.classes == 0 || o.synthetic, "--classes: goes with --synthetic only");
  expect(o.image_size >= 0 && o.image_size <= 16384, "--image-size: expected 1 to 16384, got {}",
         o.image_size);
  expect(!o.synthetic || (o.data.dataset.empty() && o.data.folder.empty()),
         "--synthetic: goes with no other data");
  expect(o.keep_checkpoints >= 1, "--keep-checkpoints: expected at least 1, got {}",
         o.keep_checkpoints);
  expect(o.validate_every >= 0.0, "--validate-every: expected at least 0, got {}",
         o.validate_every);
  expect(o.resume.empty() || o.init_from.empty(), "--init-from: does not go with --resume");
}

}  // namespace

double parse_beta(const std::string& text) {
  if (text == "inf" || text == "infinity") return std::numeric_limits<double>::infinity();
  double beta = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), beta);
  if (error != std::errc() || end != text.data() + text.size() || !(beta >= 0.0) ||
      std::isinf(beta))
    fail(ErrorKind::usage, "--beta: expected a number of at least 0 or inf, got '{}'", text);
  return beta;
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
  o.memory = MemoryRequest::parse(o.activation_memory, "--activation-memory");
  one_of<int>("--on-inversion-error", o.on_inversion_error, {{"stop", 0}, {"warn", 1}});
  one_of<int>("--dct-log-det", o.dct_log_det, {{"true", 0}, {"reported", 1}});
  one_of<int>("--flavour", o.flavour, {{"reference", 0}, {"paper", 1}});
  one_of<int>("--progress", o.progress, {{"auto", 0}, {"never", 1}, {"always", 2}});
  one_of<int>("--cuda-graph", o.cuda_graph, {{"auto", 0}, {"on", 1}, {"off", 2}});
  check_data_options(o.data);
  check_ranges(o);
  // The images' size is not known yet; the loader checks it.
  TransformSpec transform = loader_options(o).transform;
  transform.size = 1;
  check_transform(transform);
}

DatasetSpec train_dataset(const TrainOptions& o) {
  ModelConfig config = preset(o.arch);
  if (o.image_size > 0) config.image_size = o.image_size;
  if (!o.synthetic) return dataset_spec(o.data, config, "fashion-mnist");
  DatasetSpec spec;
  // Enough pictures that no cache holds them all, few enough for any memory.
  const int64_t pixels = config.image_size * config.image_size * config.channels;
  const int64_t count = std::max<int64_t>(4 * o.batch_size, (int64_t{1} << 25) / pixels);
  spec.name = fmt::format("synthetic:{}:{}:{}:{}", o.classes > 0 ? o.classes : config.classes,
                          count, config.image_size, config.channels);
  return spec;
}

std::string recorded_dataset(const TrainOptions& o) { return recorded_name(train_dataset(o)); }

LoaderOptions loader_options(const TrainOptions& o) {
  LoaderOptions loader;
  loader.batch_size = o.batch_size;
  loader.seed = o.seed;
  loader.flip = o.flip;
  loader.shift = o.shift;
  loader.noise = o.noise;
  loader.clamp = o.clamp;
  loader.transform = evaluation_transform(o.data);
  loader.transform.crop = CropKind::random_resized;
  loader.transform.scale_min = o.crop_scale[0];
  loader.transform.scale_max = o.crop_scale[1];
  loader.transform.ratio_min = o.crop_ratio[0];
  loader.transform.ratio_max = o.crop_ratio[1];
  loader.transform.fast_decode = o.fast_decode;
  return loader;
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
  const nlohmann::ordered_json recipe = {{"dataset", recorded_dataset(o)},
                                         {"batch-size", o.batch_size},
                                         {"flip", o.flip},
                                         {"shift", o.shift},
                                         {"noise", o.noise},
                                         {"clamp-noise", o.clamp},
                                         {"crop-scale", o.crop_scale},
                                         {"crop-ratio", o.crop_ratio},
                                         {"fast-decode", o.fast_decode},
                                         {"exif", o.data.exif},
                                         {"resize", o.data.resize},
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
                                         {"finetune-mu", o.finetune_epochs},
                                         {"activation-memory", o.activation_memory},
                                         {"stream-anchors", o.stream_anchors},
                                         {"seed", o.seed}};
  return json_text(recipe);
}

}  // namespace pal
