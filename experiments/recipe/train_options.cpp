#include "experiments/recipe/train_options.h"

#include <algorithm>

#include "data/sources/class_names.h"
#include "runtime/error.h"

namespace pal {
namespace {

ModelConfig chosen_config(const TrainOptions& options) {
  ModelConfig config = preset(options.arch);
  if (options.flavour == Flavour::paper) apply_paper_flavour(config);
  config.compute = options.compute.precision == "bf16" ? DType::bf16 : DType::f32;
  config.dct_reported = options.dct_reported;
  for (const auto& [name, value] : options.fields) set_field(config, name, value, "--" + name);
  return config;
}

}  // namespace

void with_dashes(const std::function<void()>& check) {
  try {
    check();
  } catch (const Error& error) {
    std::string text = error.what();
    if (text.starts_with("blocks, strides, widths"))
      text = "blocks, --strides, --widths" + text.substr(23);
    const bool option = !text.starts_with("classes") && !text.starts_with("channels");
    fail(error.kind(), "{}{}", option ? "--" : "", text);
  }
}

UpdateOptions update_options(const TrainOptions& o) {
  UpdateOptions update = o.update;
  update.learning_rate_means = o.lr_means >= 0.0 ? o.lr_means : update.learning_rate;
  update.beta1 = o.betas[0];
  update.beta2 = o.betas[1];
  update.average_decay = o.ema;
  return update;
}

void settle_batch(OptionTable& table, TrainOptions& o, int rank, int ranks) {
  const int64_t ways = ranks * o.grad_accum;
  Option& global = table.at("global-batch");
  Option& own = table.at("batch-size");
  const bool fits = (o.global_batch + ways - 1) / ways == o.batch_size;
  // What is said last holds. A file of another number of ranks means its global batch.
  if (o.global_batch == 0 || own.origin() > global.origin()) {
    global.set(std::to_string(o.batch_size * ways), Origin::command, global.flag());
  } else if (own.origin() == Origin::command && o.global_batch >= ways && !fits) {
    fail(ErrorKind::usage,
         "--global-batch: {} images on {} rank{} in {} part{} are {} each, not --batch-size {}",
         o.global_batch, ranks, ranks == 1 ? "" : "s", o.grad_accum, o.grad_accum == 1 ? "" : "s",
         (o.global_batch + ways - 1) / ways, o.batch_size);
  }
  expect(o.global_batch >= ways,
         "--global-batch: {} images do not suffice for {} ranks with --grad-accum {}",
         o.global_batch, ranks, o.grad_accum);
  o.batch_size = (o.global_batch + ways - 1) / ways;
  o.share = {.rank = rank, .ranks = ranks, .parts = static_cast<int>(o.grad_accum)};
}

OptimizerSpec optimizer_spec(const TrainOptions& options) {
  return {options.optimizer, options.ema > 0.0};
}

bool names_data(const TrainOptions& o) {
  return o.synthetic || !o.data.dataset.empty() || !o.data.folder.empty();
}

DatasetSpec train_dataset(const TrainOptions& o) {
  ModelConfig config = preset(o.arch);
  if (o.image_size > 0) config.image_size = o.image_size;
  DatasetSpec spec;
  if (!o.synthetic) {
    spec = dataset_spec(o.data, config, "");
    spec.left_out = listed_names(o.exclude_classes, "--exclude-classes");
    return spec;
  }
  // Enough pictures that no cache holds them all, few enough for any memory.
  const int64_t pixels = config.image_size * config.image_size * config.channels;
  const int64_t count =
      std::max<int64_t>(4 * std::max(o.batch_size, o.global_batch), (int64_t{1} << 25) / pixels);
  spec.name = fmt::format("synthetic:{}:{}:{}:{}", o.classes > 0 ? o.classes : config.classes,
                          count, config.image_size, config.channels);
  return spec;
}

std::string recorded_dataset(const TrainOptions& o) { return recorded_name(train_dataset(o)); }

LoaderOptions loader_options(const TrainOptions& o) {
  LoaderOptions loader;
  loader.batch_size = o.global_batch > 0 ? o.global_batch : o.batch_size;
  loader.share = o.share;
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
  ModelConfig config = chosen_config(options);
  config.image_size = image_size;
  config.channels = channels;
  config.classes = classes;
  with_dashes([&] { validate(config); });
  return config;
}

void check_model_options(const TrainOptions& options) {
  ModelConfig config = chosen_config(options);
  const int64_t unit = size_unit(config);
  config.image_size =
      options.image_size > 0 ? options.image_size : (config.image_size + unit - 1) / unit * unit;
  config.classes = std::max<int64_t>(1, options.classes);
  with_dashes([&] { validate(config); });
}

}  // namespace pal
