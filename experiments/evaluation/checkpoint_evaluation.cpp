#include "experiments/evaluation/checkpoint_evaluation.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>

#include "data/sources/class_names.h"
#include "data/variants/variant_set.h"
#include "experiments/command_line/run_data.h"
#include "experiments/evaluation/image_file.h"
#include "experiments/measures/batch_norm_average.h"
#include "experiments/measures/gaussian_baseline.h"
#include "experiments/measures/latents.h"
#include "experiments/measures/model_fit.h"
#include "experiments/report/published.h"
#include "kernels/resample/dct.h"
#include "runtime/allocator.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/json.h"
#include "runtime/log.h"
#include "runtime/paths.h"
#include "runtime/text.h"

namespace pal {
namespace {

/// Images per batch, if the user leaves it open: on a CPU about as many values as 500 small
/// pictures have, on a GPU enough to keep it busy.
int64_t batch_size(const EvaluateOptions& o, const ModelConfig& config, Device device) {
  if (o.batch_size > 0) return o.batch_size;
  constexpr int64_t kCpuValues = 3'000'000;
  constexpr int64_t kGpuValues = 40'000'000;
  const int64_t values = config.image_size * config.image_size * config.channels * o.crops;
  return std::clamp<int64_t>((device.is_cpu() ? kCpuValues : kGpuValues) / values, 1, 500);
}

/// How much larger than the true one the log-determinant of the DCT is that the published
/// implementation uses, in nats per dimension of the image: its L_X is smaller by that.
double dct_excess(const ModelConfig& config) {
  const MixtureSpec head = mixture_spec(config);
  const int64_t pixels = head.dims / head.mean_dims;
  const auto size = std::llround(std::sqrt(static_cast<double>(pixels)));
  const DctMap map{config.dct, 0.5};
  return (dct_reported_log_det(size, head.mean_dims, map) -
          dct_log_det(size, head.mean_dims, map)) /
         static_cast<double>(head.dims);
}

/// Whether a set of the kind that a checkpoint's run was given is that very set for sure.
bool is_runs_own(const DatasetSpec& spec, const TrainingRecipe& recipe, const std::string& path) {
  if (recipe.dataset != kRecordedFolder) return true;
  const auto run = run_data(path);
  const std::string& place = spec.name.empty() ? spec.folder : spec.name;
  std::error_code ignored;
  return run &&
         (place == run->dataset || std::filesystem::equivalent(place, run->dataset, ignored));
}

/// The area under the ROC curve of values that are lower for positives.
double rank_auc_below(std::vector<double> positives, std::vector<double> negatives) {
  for (double& p : positives) p = -p;
  for (double& p : negatives) p = -p;
  return rank_auc(positives, negatives);
}

bool is_published_size(const ModelConfig& config) {
  return config.image_size == 224 && config.channels == 3 && config.classes == 1000;
}

}  // namespace

CheckpointEvaluation::CheckpointEvaluation(const EvaluateOptions& options, Device device,
                                           size_t which, EvaluatedSets& sets)
    : options_(options),
      path_(options.checkpoints[which]),
      sets_(sets),
      loaded_(load_model(path_,
                         [&](ModelConfig& config) {
                           set_precision(options.run, config);
                           config.dct_reported = options.dct_reported;
                         })),
      recipe_(training_recipe(loaded_.checkpoint, path_)),
      beta_(beta_of(options, which, recipe_)) {
  loaded_.model->to(device);
  const ModelConfig& config = loaded_.model->config();
  DataOptions data = options.data;
  take_run_data(data, path_, recipe_.dataset);
  data_ = dataset_spec(data, config, recipe_.dataset);
  data_.shard_classes = loaded_.input.class_names;
  data_.left_out = recipe_.left_out;
  evaluated_ = &sets_.evaluated(data_);
  check_fit();
  choose_images();
  spec_.batch_size = batch_size(options, config, device);
  spec_.beta = beta_.value_or(recipe_.beta);
  spec_.smoothing = recipe_.smoothing;
  spec_.noise = false;
  spec_.seed = options.run.seed;
  spec_.transform = evaluation_transform(options.data, recipe_);
  spec_.transform.crop = options.crops == 10 ? CropKind::ten : CropKind::center;
  spec_.workers = worker_count(options.data, device);
  spec_.ranks = options.ranks;
}

void CheckpointEvaluation::check_fit() {
  const DatasetInfo& info = evaluated_->set->info();
  expect_images_fit(loaded_, path_, info);
  classes_ = match_classes(loaded_, path_, info, options_.allow_other_classes);
  spec_.class_of_label = classes_.class_of_label;
  const int64_t all = loaded_.model->config().classes;
  if (!classes_.class_of_label.empty() && info.classes() < all && options_.restrict_classes) {
    spec_.among = classes_.class_of_label;
    std::ranges::sort(spec_.among);
    log_info("{}: answers are chosen among its {} of the model's {} classes", info.name,
             info.classes(), all);
  }
  expect(options_.crops == 1 || evaluated_->set->in_memory() == nullptr,
         "--crops: {} has images of one size, of which no crops are taken", info.name);
  expect(options_.latents.empty() || has_density(),
         "--save-latents: {}: {} only classifies; this needs an invertible network", path_,
         loaded_.model->config().arch);
  if (options_.ood.empty()) return;
  expect(has_density(), "--ood: {} has no density", path_);
  for (const std::string& name : options_.ood) foreign_images(name);
}

void CheckpointEvaluation::choose_images() {
  const Split part = opened_part(*evaluated_, options_.split);
  part_ = name_of(part);
  if (options_.split == Split::validation || options_.split == Split::test)
    spec_.indices = held_out_images(evaluated_->spec, evaluated_->set->info(), recipe_,
                                    loaded_.checkpoint.entry("data_fingerprint"));
  expect(
      !evaluated_->held_out || !spec_.indices.empty(),
      "--split: {} has no {} part, and is not (or no longer) what {} was trained on, which would "
      "have held-out images; name another part or set",
      evaluated_->set->info().name, name_of(options_.split), path_);
  if (!spec_.indices.empty()) {
    part_ = "held-out";
    chose_ = ChoseCheckpoint::yes;
  } else if (part == Split::validation && recipe_.validation == 0.0 &&
             recorded_name(data_) == recipe_.dataset) {
    chose_ = is_runs_own(data_, recipe_, path_) ? ChoseCheckpoint::yes : ChoseCheckpoint::perhaps;
  } else if (parts_of(data_).whole() && recipe_.dataset == kRecordedFolder &&
             is_runs_own(data_, recipe_, path_)) {
    log_warning(
        "{}: changed since {} was trained on most of it; what was held out is not known any more, "
        "so "
        "these numbers are not those of new images",
        evaluated_->set->info().name, path_);
  }
  spread_indices(spec_.indices, options_.most_images, evaluated_->set->info());
}

EvaluationSpec CheckpointEvaluation::unlabelled_spec() const {
  EvaluationSpec spec = spec_;
  spec.foreign = true;
  spec.indices.clear();
  spec.class_of_label.clear();
  spec.among.clear();
  return spec;
}

std::string CheckpointEvaluation::Images::reading() const {
  if (from.set->in_memory() != nullptr) return "";
  return fmt::format("resize {}, exif {}", resize_of(spec.transform), spec.transform.exif);
}

CheckpointEvaluation::Images CheckpointEvaluation::evaluated_images() const {
  return {*evaluated_, spec_};
}

CheckpointEvaluation::Images CheckpointEvaluation::reference_images(int64_t most, uint64_t seed) {
  const OpenedSet& training = sets_.training(training_data());
  expect_images_fit(loaded_, path_, training.set->info());
  EvaluationSpec spec = unlabelled_spec();
  spec.indices = reference_indices(training, recipe_, most, seed);
  spec.bad_images = training.bad.get();
  return {training, std::move(spec)};
}

CheckpointEvaluation::Images CheckpointEvaluation::foreign_images(const std::string& name,
                                                                  int64_t most) {
  expect_held_out_classes(name);
  const OpenedSet& foreign = sets_.foreign(data_, name);
  expect_images_fit(loaded_, path_, foreign.set->info());
  EvaluationSpec spec = unlabelled_spec();
  if (variant_of(name)) spec.indices = spec_.indices;
  spread_indices(spec.indices, most, foreign.set->info());
  return {foreign, std::move(spec)};
}

void CheckpointEvaluation::expect_held_out_classes(const std::string& name) const {
  const auto wanted = held_out_classes(name);
  if (!wanted) return;
  const std::string& flag = options_.foreign_flag;
  expect(
      !recipe_.left_out.empty(),
      "{}: {}: {} was trained on all classes of its set; pal-train --exclude-classes leaves some "
      "out",
      flag, name, path_);
  for (const std::string& text : *wanted) {
    if (std::ranges::find(recipe_.left_out, text) != recipe_.left_out.end()) continue;
    const bool learned =
        std::ranges::find(loaded_.input.class_names, text) != loaded_.input.class_names.end();
    const std::string nearest = learned ? "" : nearest_name(text, recipe_.left_out);
    fail(ErrorKind::usage, "{}: {}: {} was trained {} '{}'; it was trained without {}{}", flag,
         name, path_, learned ? "with" : "neither with nor without", one_line(text),
         some_names(recipe_.left_out),
         nearest.empty() ? "" : fmt::format("; did you mean {}?", nearest));
  }
}

const ModelCalibration* CheckpointEvaluation::calibration() {
  find_calibration();
  return calibration_ ? &*calibration_ : nullptr;
}

DatasetSpec CheckpointEvaluation::training_data() const {
  const std::string trained = loaded_.checkpoint.entry("data_fingerprint");
  if (parts_of(data_).train) return data_;
  // A set of one part is the training set only if the model was trained on it.
  if (fmt::format("{:016x}", evaluated_->set->info().fingerprint) == trained) return data_;
  const auto run = run_data(path_);
  expect(run.has_value(),
         "--recalibrate-bn, --baseline, {}: need the training images, and {} has no training "
         "part; name a set that has one",
         options_.foreign_flag, evaluated_->set->info().name);
  DatasetSpec spec = data_;
  spec.name = run->dataset;
  spec.folder = run->folder;
  return spec;
}

void CheckpointEvaluation::recalibrate() {
  const OpenedSet& training = sets_.training(training_data());
  LoaderOptions reading = recipe_.loader;
  reading.mean = loaded_.input.mean;
  reading.std = loaded_.input.std;
  reading.device = loaded_.model->device();
  reading.transform.exif = spec_.transform.exif;
  reading.transform.limits = spec_.transform.limits;
  reading.workers = spec_.workers;
  reading.bad_images = training.bad.get();
  if (options_.ranks != nullptr)
    reading.share = {.rank = options_.ranks->rank(), .ranks = options_.ranks->size()};
  const auto loader = training.set->batches(training_indices(training, recipe_), reading);
  reaverage_batch_norm(*loaded_.model, *loader, options_.recalibrate, {}, options_.ranks);
  log_info("batch-norm statistics averaged over {} training batches", options_.recalibrate);
}

TrustReport CheckpointEvaluation::calibrate() {
  auto held_out =
      sets_.held_out(training_data(), recipe_, loaded_.checkpoint.entry("data_fingerprint"));
  const Dataset& set = *held_out.set.set;
  // Both may be the images that chose the checkpoint.
  const bool same_part = held_out.set.spec == evaluated_->spec &&
                         held_out.part == opened_part(*evaluated_, options_.split);
  if (same_part) {
    if (spec_.indices.empty()) spec_.indices = all_images(evaluated_->set->info());
    std::vector<int64_t> shared;
    std::ranges::set_intersection(held_out.indices, spec_.indices, std::back_inserter(shared));
    if (!shared.empty()) {
      held_out.indices.clear();
      spec_.indices.clear();
      for (size_t i = 0; i < shared.size(); ++i)
        (i % 2 == 0 ? held_out.indices : spec_.indices).push_back(shared[i]);
      log_info("--calibrate: {} of the images fit it, the other {} are evaluated",
               held_out.indices.size(), spec_.indices.size());
    }
  }
  expect_images_fit(loaded_, path_, set.info());
  EvaluationSpec own = spec_;
  own.indices = held_out.indices;
  own.class_of_label =
      match_classes(loaded_, path_, set.info(), options_.allow_other_classes).class_of_label;
  TransformSpec transform = spec_.transform;
  transform.size = loaded_.model->config().image_size;
  // Images of their final size are seen whole.
  const bool as_is = set.in_memory() != nullptr;
  const Reading reading = {.resize = as_is ? transform.size : resize_of(transform),
                           .exif = !as_is && transform.exif};
  calibration_ = ModelCalibration::fit(scores_of(held_out.set, own), reading);
  const std::string digest = model_digest(loaded_);
  const std::string path =
      options_.calibration.empty() ? calibration_path(path_, digest) : options_.calibration;
  from_first_rank(options_.ranks, [&] {
    calibration_->save(path, {{"model", digest},
                              {"dataset", set.info().name},
                              {"images", std::to_string(calibration_->count())}});
    return Message();
  });
  log_info("calibration of {} held-out images of {}: {}; familiarity resolves p of {:.2g} and more",
           calibration_->count(), set.info().name, path, calibration_->least_p());
  TrustReport report = try_calibration(*calibration_, own_scores());
  report.file = path;
  return report;
}

EvaluationResult CheckpointEvaluation::evaluate(const OpenedSet& from, const EvaluationSpec& spec) {
  EvaluationSpec own = spec;
  own.bad_images = from.bad.get();
  return evaluate_model(*loaded_.model, loaded_.input, *from.set, own);
}

void CheckpointEvaluation::measure(CheckpointReport& report,
                                   decltype(EvaluationSpec::observe) observe) {
  EvaluationSpec quoted = spec_;
  quoted.noise = has_density();
  quoted.observe = std::move(observe);
  report.noisy = evaluate(*evaluated_, quoted);
  report.clean = has_density() ? evaluate(*evaluated_, spec_) : report.noisy;
  if (!has_density()) return;
  const ModelConfig& config = loaded_.model->config();
  const double excess = config.dct_reported ? 0.0 : dct_excess(config);
  const double released = report.clean.summary.loss_x - excess;
  if (excess != 0.0) report.loss_x_released = released;
  if (is_published_size(config)) report.bits_paper = bits_per_dim_paper(released);
}

std::optional<double> CheckpointEvaluation::own_accuracy_among() {
  const auto run = run_data(path_);
  if (!run) return std::nullopt;
  DatasetSpec own = data_;
  own.name = run->dataset;
  own.folder = run->folder;
  if (own == data_) return std::nullopt;
  try {
    if (const DatasetParts parts = parts_of(own); !parts.test && !parts.validation)
      return std::nullopt;
    std::unique_ptr<Dataset> set;
    on_all_ranks(options_.ranks, [&] { set = open_dataset(own, Split::test); });
    EvaluationSpec spec = spec_;
    spec.class_of_label = match_classes(loaded_, path_, set->info(), false).class_of_label;
    spec.indices.clear();
    for (const int64_t i : all_images(set->info()))
      if (std::ranges::binary_search(spec.among, class_of(spec, set->label(i))))
        spec.indices.push_back(i);
    if (spec.indices.empty()) return std::nullopt;
    const auto bad = bad_image_log(options_.data, set->info().count);
    spec.bad_images = bad.get();
    return evaluate_model(*loaded_.model, loaded_.input, *set, spec).summary.acc1;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::numerics) throw;
    log_warning("no accuracy of the same classes on the run's own images: {}", error.what());
    return std::nullopt;
  }
}

double CheckpointEvaluation::gaussian_bits() {
  LoaderOptions reading;
  reading.transform = spec_.transform;
  reading.transform.crop = CropKind::center;
  reading.workers = spec_.workers;
  const auto moments = [&](const OpenedSet& from) {
    reading.bad_images = from.bad.get();
    return fit_gaussian(*from.set, reading, options_.ranks);
  };
  return bits_per_dim(moments(sets_.training(training_data())), moments(*evaluated_));
}

void CheckpointEvaluation::find_calibration() {
  if (calibration_ || options_.recalibrate > 0 || options_.crops != 1) return;
  const std::string digest = model_digest(loaded_);
  const std::string usual = calibration_path(path_, digest);
  calibration_ = ModelCalibration::find(usual, options_.calibration, digest);
  if (calibration_)
    log_info("familiarity by the calibration {}",
             options_.calibration.empty() ? usual : options_.calibration);
}

TrustScores CheckpointEvaluation::scores_of(const OpenedSet& from, const EvaluationSpec& spec) {
  EvaluationSpec own = spec;
  own.bad_images = from.bad.get();
  return trust_scores(*loaded_.model, loaded_.input, *from.set, own);
}

const TrustScores& CheckpointEvaluation::own_scores() {
  if (!own_scores_) own_scores_ = scores_of(*evaluated_, spec_);
  return *own_scores_;
}

std::vector<OodReport> CheckpointEvaluation::tell_foreign(const EvaluationResult& clean) {
  const Images reference = reference_images(kReferenceImages, 0);
  const OodReference known(log_densities(evaluate(reference.from, reference.spec)));
  const std::vector<double> own = log_densities(clean);
  // Unfamiliar images have small p-values.
  std::vector<double> own_p;
  if (calibration_) own_p = familiarity_of(*calibration_, own_scores());
  std::vector<OodReport> reports;
  for (const std::string& name : options_.ood) {
    const auto [foreign, spec] = foreign_images(name);
    // Those scores hold the densities: no second pass.
    std::optional<TrustScores> scores;
    if (calibration_) scores = scores_of(foreign, spec);
    OodReport report =
        compare_densities(held_out_classes(name) ? name : foreign.set->info().name, known, own,
                          scores ? scores->log_density : log_densities(evaluate(foreign, spec)));
    if (scores) report.familiarity = rank_auc_below(familiarity_of(*calibration_, *scores), own_p);
    reports.push_back(std::move(report));
  }
  return reports;
}

std::string CheckpointEvaluation::images_in_words() const {
  const DatasetInfo& info = evaluated_->set->info();
  return fmt::format(
      "{} images of {} ({}), fingerprint {:016x}",
      spec_.indices.empty() ? info.count : static_cast<int64_t>(spec_.indices.size()), info.name,
      part_, info.fingerprint);
}

std::map<std::string, std::string> CheckpointEvaluation::metadata_of(
    const std::string& kind, const std::vector<ArrayField>& fields) const {
  auto metadata = array_metadata(kind, model_digest(loaded_), images_in_words(), fields);
  metadata["checkpoint"] = canonical_path(path_).filename().string();
  metadata["step"] = std::to_string(loaded_.progress.step);
  metadata["class_names"] = json_text(nlohmann::json(classes_.names), -1, BadUtf8::replaced);
  return metadata;
}

void CheckpointEvaluation::save_latents() {
  EvaluationSpec own = spec_;
  own.bad_images = evaluated_->bad.get();
  const int64_t count =
      write_latents(options_.latents, flow_of(loaded_, path_), loaded_.input, *evaluated_->set, own,
                    metadata_of("latents", latent_fields()));
  log_info("{} latent vectors in {}", count, options_.latents);
}

CheckpointReport CheckpointEvaluation::run() {
  const DatasetInfo& info = evaluated_->set->info();
  CheckpointReport report;
  report.checkpoint = path_;
  report.dataset = info.name;
  report.split = part_;
  report.chose = chose_;
  report.classes = loaded_.model->config().classes;
  report.classes_among = static_cast<int64_t>(spec_.among.size());
  report.beta = beta_;
  if (options_.published) report.published = published_evaluation(has_density(), beta_);
  report.crops = options_.crops;
  log_info("{}: step {}, epoch {}; {} {} images of {}{}", path_, loaded_.progress.step,
           loaded_.progress.epoch,
           spec_.indices.empty() ? info.count : static_cast<int64_t>(spec_.indices.size()), part_,
           info.name, remark_of(chose_));
  if (options_.recalibrate > 0) recalibrate();
  if (!spec_.among.empty()) report.own_among = own_accuracy_among();
  if (options_.calibrate) report.trust = calibrate();
  const auto outputs = open_image_file(options_.outputs, *evaluated_->set, classes_, has_density());
  measure(report, outputs ? outputs->observer() : nullptr);
  if (options_.baseline) report.bits_gaussian = gaussian_bits();
  if (!options_.ood.empty()) {
    find_calibration();
    report.ood = tell_foreign(report.clean);
  }
  if (outputs)
    from_first_rank(options_.ranks, [&] {
      outputs->write(options_.outputs, metadata_of("outputs", outputs->fields()));
      return Message();
    });
  if (!options_.latents.empty()) save_latents();
  if (evaluated_->bad != nullptr) {
    report.bad_images = evaluated_->bad->entries();
    evaluated_->bad->warn();
  }
  const Device device = loaded_.model->device();
  const MemoryStats memory = Allocator::of(device).stats();
  report.peak_bytes = memory.peak_total;
  if (device.is_cuda()) report.reserved_bytes = memory.peak_reserved;
  return report;
}

}  // namespace pal
