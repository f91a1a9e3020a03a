#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "data/batches/bad_images.h"
#include "experiments/measures/gaussian_baseline.h"
#include "experiments/command_line/data_options.h"
#include "experiments/command_line/program.h"
#include "experiments/command_line/run_options.h"
#include "experiments/report/evaluation_report.h"
#include "experiments/training/training_recipe.h"
#include "runtime/allocator.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/log.h"

namespace {

using namespace pal;

constexpr const char* kName = "pal-evaluate";
/// Training images whose densities the out-of-distribution tests know (experiments.md 4.1).
constexpr int64_t kReferenceImages = 10000;

struct Options {
  std::vector<std::string> checkpoints;
  DataOptions data;
  std::string split = "test";
  int64_t batch_size = -1;
  int64_t crops = 1;
  std::string ood;
  std::string ood_folder;
  int64_t recalibrate = 0;
  bool baseline = false;
  std::string outputs;
  std::string summary;
  std::string dct_log_det = "true";
  RunOptions run;
};

void add_options(CLI::App& app, Options& o) {
  app.add_option("CHECKPOINT", o.checkpoints, "checkpoints, then perhaps the folder of the data")
      ->required();
  const std::string data = "Data";
  add_data_options(app, o.data, data);
  app.add_option("--split", o.split, "test (or val, where there is no test), val, train or all")
      ->group(data)
      ->capture_default_str();
  app.add_option("-b,--batch-size", o.batch_size,
                 "images per batch; default: 500 small ones; of 224 x 224, 19 on a CPU "
                 "and 265 on a GPU")
      ->group(data);
  app.add_option("--crops", o.crops,
                 "views of each picture of a folder: 1, or 10 (corners, middle, mirrored)")
      ->group(data)
      ->capture_default_str();
  app.add_option("--ood", o.ood, "another data set, to be told from this one by its densities")
      ->group(data);
  app.add_option("--ood-folder", o.ood_folder, "where that data set lies")->group(data);
  const std::string model = "Model and results";
  app.add_option("--recalibrate-bn", o.recalibrate,
                 "average batch-norm statistics over so many training batches first")
      ->group(model)
      ->capture_default_str();
  app.add_option("--dct-log-det", o.dct_log_det,
                 "true, or reported: the value in the published losses")
      ->group(model)
      ->capture_default_str();
  app.add_flag("--baseline", o.baseline,
               "also bits/dim of independent Gaussians, fitted to the training images")
      ->group(model);
  app.add_option("--save-outputs", o.outputs, "write one line per image to a CSV file")
      ->group(model)
      ->type_name("FILE");
  app.add_option("--summary", o.summary, "also put the results into this JSON file, beside others")
      ->group(model)
      ->type_name("FILE");
  add_run_options(app, o.run);
}

Split split_of(const std::string& text) {
  for (const Split split : {Split::train, Split::validation, Split::test, Split::all})
    if (text == name_of(split)) return split;
  fail(ErrorKind::usage, "--split: expected train, val, test or all, got '{}'", text);
}

void check_options(Options& o) {
  std::error_code ignored;
  if (o.checkpoints.size() > 1 && std::filesystem::is_directory(o.checkpoints.back(), ignored)) {
    o.data.folder = o.checkpoints.back();
    o.checkpoints.pop_back();
  }
  split_of(o.split);
  expect(o.batch_size == -1 || o.batch_size >= 1, "--batch-size: expected at least 1, got {}",
         o.batch_size);
  expect(o.crops == 1 || o.crops == 10, "--crops: expected 1 or 10, got {}", o.crops);
  check_data_options(o.data);
  expect(o.recalibrate >= 0, "--recalibrate-bn: expected at least 0, got {}", o.recalibrate);
  expect(o.dct_log_det == "true" || o.dct_log_det == "reported",
         "--dct-log-det: expected true or reported, got '{}'", o.dct_log_det);
  expect(o.outputs.empty() || o.checkpoints.size() == 1,
         "--save-outputs: one checkpoint at a time, got {}", o.checkpoints.size());
  expect(o.summary.empty() || o.checkpoints.size() == 1,
         "--summary: one checkpoint at a time, got {}", o.checkpoints.size());
}

/// A set and the pictures of it that could not be read.
struct OpenedSet {
  DatasetSpec spec;
  std::unique_ptr<Dataset> set;
  std::unique_ptr<BadImageLog> bad;
};

/// The image sets that checkpoints share, opened when first needed.
class Images {
 public:
  explicit Images(const Options& options) : options_(options) {}

  const OpenedSet& evaluated(const DatasetSpec& spec) {
    return open(evaluated_, spec, split_of(options_.split));
  }
  const OpenedSet& training(const DatasetSpec& spec) { return open(training_, spec, Split::train); }
  const OpenedSet& foreign(const DatasetSpec& like) {
    DatasetSpec spec = like;
    spec.name = options_.ood;
    spec.folder = options_.ood_folder;
    spec.class_names.clear();
    return open(foreign_, spec, options_.ood == "digits" ? Split::all : Split::test);
  }

 private:
  const OpenedSet& open(OpenedSet& opened, const DatasetSpec& spec, Split split) {
    if (opened.set && opened.spec == spec) return opened;
    opened.spec = spec;
    opened.set = open_dataset(spec, split);
    opened.bad = bad_image_log(options_.data, opened.set->info().count);
    return opened;
  }

  const Options& options_;
  OpenedSet evaluated_, training_, foreign_;
};

/// Training images without those that chose checkpoints.
std::vector<int64_t> training_indices(const OpenedSet& opened, const TrainingRecipe& recipe) {
  return split_training(opened.spec, opened.set->info(), recipe.validation, recipe.loader.seed)
      .train;
}

TransformSpec transform_of(const Options& o, const TrainingRecipe& recipe) {
  TransformSpec transform = evaluation_transform(o.data);
  if (transform.resize == 0) transform.resize = recipe.loader.transform.resize;
  transform.exif = transform.exif || recipe.loader.transform.exif;
  return transform;
}

void recalibrate(const Options& o, const TrainingRecipe& recipe, const OpenedSet& opened,
                 LoadedModel& loaded) {
  LoaderOptions options = recipe.loader;
  options.mean = loaded.input.mean;
  options.std = loaded.input.std;
  options.device = loaded.model->device();
  const TransformSpec reading = transform_of(o, recipe);
  options.transform.exif = reading.exif;
  options.transform.limits = reading.limits;
  options.workers = worker_count(o.data, options.device);
  options.bad_images = opened.bad.get();
  const auto loader = opened.set->batches(training_indices(opened, recipe), options);
  reaverage_batch_norm(*loaded.model, *loader, o.recalibrate);
  log_info("batch-norm statistics averaged over {} training batches", o.recalibrate);
}

/// Evenly spread training images, without those that chose checkpoints.
std::vector<int64_t> reference_indices(const OpenedSet& opened, const TrainingRecipe& recipe) {
  const auto train = training_indices(opened, recipe);
  const auto all = static_cast<int64_t>(train.size());
  const int64_t count = std::min(kReferenceImages, all);
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < count; ++i) chosen.push_back(train[static_cast<size_t>(i * all / count)]);
  return chosen;
}

/// Images per batch, if the user leaves it open: on a CPU about as many values as 500 small
/// pictures have, on a GPU enough to keep it busy.
int64_t batch_size(const Options& o, const ModelConfig& config, Device device) {
  if (o.batch_size > 0) return o.batch_size;
  constexpr int64_t kCpuValues = 3'000'000;
  constexpr int64_t kGpuValues = 40'000'000;
  const int64_t values = config.image_size * config.image_size * config.channels * o.crops;
  return std::clamp<int64_t>((device.is_cpu() ? kCpuValues : kGpuValues) / values, 1, 500);
}

/// L_X of the published implementation, whose log-determinant of the DCT is too large by this.
double dct_excess(const ModelConfig& config) {
  const MixtureSpec head = mixture_spec(config);
  const int64_t pixels = head.dims / head.mean_dims;
  const auto size = std::llround(std::sqrt(static_cast<double>(pixels)));
  const DctMap map{config.dct, 0.5};
  return (dct_reported_log_det(size, head.mean_dims, map) -
          dct_log_det(size, head.mean_dims, map)) /
         static_cast<double>(head.dims);
}

bool is_published_size(const ModelConfig& config) {
  return config.image_size == 224 && config.channels == 3 && config.classes == 1000;
}

CheckpointReport evaluate(const Options& o, Device device, const std::string& path,
                          Images& images) {
  LoadedModel loaded = load_model(path, [&](ModelConfig& config) {
    set_precision(o.run, config);
    config.dct_reported = o.dct_log_det == "reported";
  });
  loaded.model->to(device);
  const ModelConfig& config = loaded.model->config();
  const TrainingRecipe recipe = training_recipe(loaded.checkpoint, path);
  DatasetSpec data = dataset_spec(o.data, config, recipe.dataset);
  data.shard_classes = loaded.input.class_names;
  const OpenedSet& opened = images.evaluated(data);
  const DatasetInfo& info = opened.set->info();
  expect_images_fit(loaded, path, info);
  expect_classes_fit(loaded, path, info);
  expect(o.crops == 1 || opened.set->in_memory() == nullptr,
         "--crops: {} has images of one size, of which no crops are taken", info.name);
  expect(o.ood.empty() || loaded.model->has_density(), "--ood: {} has no density", path);
  if (!o.ood.empty()) expect_images_fit(loaded, path, images.foreign(data).set->info());
  log_info("{}: step {}, epoch {}; {} {} images of {}", path, loaded.progress.step,
           loaded.progress.epoch, info.count, o.split, info.name);
  if (o.recalibrate > 0) recalibrate(o, recipe, images.training(data), loaded);

  EvaluationSpec spec;
  spec.batch_size = batch_size(o, config, device);
  spec.beta = recipe.beta;
  spec.smoothing = recipe.smoothing;
  spec.seed = o.run.seed;
  spec.transform = transform_of(o, recipe);
  spec.transform.crop = o.crops == 10 ? CropKind::ten : CropKind::center;
  spec.workers = worker_count(o.data, device);
  const auto evaluate_set = [&](const OpenedSet& from) {
    spec.bad_images = from.bad.get();
    return evaluate_model(*loaded.model, loaded.input, *from.set, spec);
  };
  CheckpointReport report;
  report.checkpoint = path;
  report.dataset = info.name;
  report.split = o.split;
  report.crops = o.crops;
  spec.noise = loaded.model->has_density();
  report.noisy = evaluate_set(opened);
  spec.noise = false;
  report.clean = loaded.model->has_density() ? evaluate_set(opened) : report.noisy;
  if (loaded.model->has_density()) {
    const double excess = config.dct_reported ? 0.0 : dct_excess(config);
    const double released = report.clean.summary.loss_x - excess;
    if (excess != 0.0) report.loss_x_released = released;
    if (is_published_size(config)) report.bits_paper = bits_per_dim_paper(released);
  }
  if (o.baseline) {
    LoaderOptions reading;
    reading.transform = spec.transform;
    reading.transform.crop = CropKind::center;
    reading.workers = spec.workers;
    const auto moments = [&](const OpenedSet& from) {
      reading.bad_images = from.bad.get();
      return fit_gaussian(*from.set, reading);
    };
    report.bits_gaussian = bits_per_dim(moments(images.training(data)), moments(opened));
  }
  if (!o.ood.empty()) {
    const OpenedSet& foreign = images.foreign(data);
    spec.foreign = true;
    const EvaluationResult others = evaluate_set(foreign);
    spec.foreign = false;
    const OpenedSet& training = images.training(data);
    spec.indices = reference_indices(training, recipe);
    const EvaluationResult known = evaluate_set(training);
    report.ood = compare_densities(foreign.set->info().name, OodReference(log_densities(known)),
                                   log_densities(report.clean), log_densities(others));
  }
  if (!o.outputs.empty()) write_atomic(o.outputs, to_csv(report.noisy, *opened.set));
  if (opened.bad != nullptr) report.bad_images = opened.bad->entries();
  for (const auto& [index, message] : report.bad_images) log_warning("left out: {}", message);
  report.peak_bytes = Allocator::of(device).stats().peak_total;
  return report;
}

int run(Options& o) {
  check_options(o);
  const Device device = apply_run_options(o.run);
  Images images(o);
  std::vector<CheckpointReport> reports;
  for (const std::string& path : o.checkpoints)
    reports.push_back(evaluate(o, device, path, images));
  if (!o.summary.empty()) merge_summary(o.summary, reports[0]);
  if (!o.run.json) {
    print_result(to_text(reports));
    return 0;
  }
  std::vector<std::string> answers;
  answers.reserve(reports.size());
  for (const CheckpointReport& report : reports) answers.push_back(to_json(report));
  const std::string list = fmt::format("{}", fmt::join(answers, ",\n"));
  print_result(answers.size() == 1 ? list : "[" + list + "]");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(kName, [&] {
    CLI::App app("Accuracy, losses, bits/dim, calibration and outlier detection of checkpoints.",
                 kName);
    Options options;
    add_options(app, options);
    if (!pal::parse_options(app, argc, argv)) return 0;
    return run(options);
  });
}
