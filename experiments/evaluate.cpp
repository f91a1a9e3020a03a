#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "data/gaussian_baseline.h"
#include "experiments/evaluation_report.h"
#include "experiments/program.h"
#include "experiments/run_options.h"
#include "experiments/training_recipe.h"
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
  int64_t batch_size = 500;
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
  app.add_option("--dataset", o.data.dataset,
                 "fashion-mnist, digits, synthetic:CLASSES[:COUNT[:SIZE]] or a folder of IDX "
                 "files; default: what the checkpoint was trained on")
      ->group(data);
  app.add_option("--split", o.split, "test, train or all")->group(data)->capture_default_str();
  app.add_option("-b,--batch-size", o.batch_size, "images per batch")
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
  for (const Split split : {Split::train, Split::test, Split::all})
    if (text == name_of(split)) return split;
  fail(ErrorKind::usage, "--split: expected train, test or all, got '{}'", text);
}

void check_options(Options& o) {
  std::error_code ignored;
  if (o.checkpoints.size() > 1 && std::filesystem::is_directory(o.checkpoints.back(), ignored)) {
    o.data.folder = o.checkpoints.back();
    o.checkpoints.pop_back();
  }
  split_of(o.split);
  expect(o.batch_size >= 1, "--batch-size: expected at least 1, got {}", o.batch_size);
  expect(o.recalibrate >= 0, "--recalibrate-bn: expected at least 0, got {}", o.recalibrate);
  expect(o.dct_log_det == "true" || o.dct_log_det == "reported",
         "--dct-log-det: expected true or reported, got '{}'", o.dct_log_det);
  expect(o.outputs.empty() || o.checkpoints.size() == 1,
         "--save-outputs: one checkpoint at a time, got {}", o.checkpoints.size());
  expect(o.summary.empty() || o.checkpoints.size() == 1,
         "--summary: one checkpoint at a time, got {}", o.checkpoints.size());
}

/// The image sets that checkpoints share, loaded when first needed.
class Images {
 public:
  explicit Images(const Options& options) : options_(options) {}

  const ImageSet& evaluated(const TrainingRecipe& recipe) {
    return load(evaluated_, recipe, split_of(options_.split));
  }
  const ImageSet& training(const TrainingRecipe& recipe) {
    return load(training_, recipe, Split::train);
  }
  const ImageSet& foreign() {
    if (!foreign_.set)
      foreign_.set = std::make_unique<ImageSet>(load_dataset(
          options_.ood, options_.ood == "digits" ? Split::all : Split::test, options_.ood_folder));
    return *foreign_.set;
  }

 private:
  struct Loaded {
    std::string name;
    std::unique_ptr<ImageSet> set;
  };
  const ImageSet& load(Loaded& loaded, const TrainingRecipe& recipe, Split split) {
    const std::string name = dataset_name(options_.data, recipe.dataset);
    if (!loaded.set || loaded.name != name)
      loaded = {name,
                std::make_unique<ImageSet>(load_images(options_.data, recipe.dataset, split))};
    return *loaded.set;
  }

  const Options& options_;
  Loaded evaluated_, training_, foreign_;
};

void recalibrate(const Options& o, const TrainingRecipe& recipe, const ImageSet& set,
                 LoadedModel& loaded) {
  LoaderOptions options;
  options.batch_size = recipe.batch_size;
  options.seed = recipe.seed;
  options.flip = recipe.flip;
  options.shift = recipe.shift;
  options.noise = recipe.noise;
  options.mean = loaded.input.mean;
  options.std = loaded.input.std;
  options.device = loaded.model->device();
  BatchLoader loader(set, split_validation(set, recipe.validation, recipe.seed).train, options);
  reaverage_batch_norm(*loaded.model, loader, o.recalibrate);
  log_info("batch-norm statistics averaged over {} training batches", o.recalibrate);
}

/// Evenly spread training images, without those that chose checkpoints.
std::vector<int64_t> reference_indices(const ImageSet& set, const TrainingRecipe& recipe) {
  const auto train = split_validation(set, recipe.validation, recipe.seed).train;
  const auto all = static_cast<int64_t>(train.size());
  const int64_t count = std::min(kReferenceImages, all);
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < count; ++i) chosen.push_back(train[static_cast<size_t>(i * all / count)]);
  return chosen;
}

/// L_X of the published implementation, whose log-determinant of the DCT is too large by this.
double dct_excess(const ModelConfig& config) {
  const MixtureSpec head = mixture_spec(config);
  const auto size = std::llround(std::sqrt(static_cast<double>(head.dims / head.mean_dims)));
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
  const TrainingRecipe recipe = training_recipe(loaded.checkpoint, path);
  const ImageSet& set = images.evaluated(recipe);
  expect_images_fit(loaded, path, set);
  expect_classes_fit(loaded, path, set);
  if (!o.ood.empty()) expect_images_fit(loaded, path, images.foreign());
  log_info("{}: step {}, epoch {}; {} {} images of {}", path, loaded.progress.step,
           loaded.progress.epoch, set.count, o.split, set.name);
  if (o.recalibrate > 0) recalibrate(o, recipe, images.training(recipe), loaded);

  EvaluationSpec spec;
  spec.batch_size = o.batch_size;
  spec.beta = recipe.beta;
  spec.smoothing = recipe.smoothing;
  spec.seed = o.run.seed;
  CheckpointReport report;
  report.checkpoint = path;
  report.dataset = set.name;
  report.split = o.split;
  report.noisy = evaluate_model(*loaded.model, loaded.input, set, spec);
  spec.noise = false;
  report.clean = evaluate_model(*loaded.model, loaded.input, set, spec);
  const ModelConfig& config = loaded.model->config();
  const double excess = config.dct_reported ? 0.0 : dct_excess(config);
  const double released = report.clean.summary.loss_x - excess;
  if (excess != 0.0) report.loss_x_released = released;
  if (is_published_size(config)) report.bits_paper = bits_per_dim_paper(released);
  if (o.baseline) report.bits_gaussian = bits_per_dim(fit_gaussian(images.training(recipe)), set);
  if (!o.ood.empty()) {
    const ImageSet& foreign = images.foreign();
    spec.foreign = true;
    const EvaluationResult others = evaluate_model(*loaded.model, loaded.input, foreign, spec);
    spec.foreign = false;
    const ImageSet& training = images.training(recipe);
    spec.indices = reference_indices(training, recipe);
    const EvaluationResult known = evaluate_model(*loaded.model, loaded.input, training, spec);
    report.ood = compare_densities(foreign.name, OodReference(log_densities(known)),
                                   log_densities(report.clean), log_densities(others));
  }
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
  if (!o.outputs.empty()) write_atomic(o.outputs, to_csv(reports[0].noisy.images));
  if (!o.summary.empty()) merge_summary(o.summary, reports[0]);
  if (!o.run.json) {
    print_result(to_text(reports));
    return 0;
  }
  std::vector<std::string> answers;
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
