#include "experiments/robustness/robustness_study.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>

#include "data/corruptions/corrupted_set.h"
#include "data/sources/hasher.h"
#include "experiments/evaluation/checkpoint_evaluation.h"
#include "experiments/report/job_clock.h"
#include "experiments/report/run_log.h"
#include "experiments/robustness/published_tree.h"
#include "experiments/trust/model_calibration.h"
#include "runtime/error.h"
#include "runtime/log.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

constexpr const char* kClean = "clean";
constexpr const char* kReference = "reference";

/// One cell to be computed: a corruption's severity, or the clean images.
struct CellKey {
  std::string name;
  int severity = 0;
  Corruption corruption = Corruption::gaussian_noise;
  std::string folder;  ///< of a tree
};

/// One model of the study.
struct Studied {
  std::unique_ptr<CheckpointEvaluation> evaluation;
  std::string digest;
  ModelStudy study;
};

/// Models that can share a reading of images.
bool read_alike(const Studied& a, const Studied& b) {
  const LoadedModel& x = a.evaluation->loaded();
  const LoadedModel& y = b.evaluation->loaded();
  const EvaluationSpec s = a.evaluation->evaluated_images().spec;
  const EvaluationSpec t = b.evaluation->evaluated_images().spec;
  return x.input.mean == y.input.mean && x.input.std == y.input.std &&
         x.model->config().image_size == y.model->config().image_size &&
         x.model->config().channels == y.model->config().channels && s.indices == t.indices &&
         s.batch_size == t.batch_size && s.transform.resize == t.transform.resize &&
         s.workers == t.workers;
}

/// The first picture below a folder, in the order of names; empty if there is none.
std::string first_picture(const std::string& folder) {
  std::string first;
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(folder, ignored))
    if (const std::string path = entry.path().string();
        has_picture_suffix(path) && (first.empty() || path < first))
      first = path;
  return first;
}

class Study {
 public:
  Study(const RobustnessOptions& options, Device device)
      : options_(options), sets_(options.evaluation) {
    const auto& checkpoints = options.evaluation.checkpoints;
    const auto labels = checkpoint_labels(checkpoints);
    for (size_t i = 0; i < checkpoints.size(); ++i) {
      Studied each;
      each.evaluation =
          std::make_unique<CheckpointEvaluation>(options.evaluation, device, i, sets_);
      const LoadedModel& loaded = each.evaluation->loaded();
      each.digest = model_digest(loaded);
      each.study.checkpoint = checkpoints[i];
      each.study.label = labels[i];
      each.study.has_density = loaded.model->has_density();
      each.study.dataset = each.evaluation->evaluated_images().from.set->info().name;
      each.study.classes = loaded.model->config().classes;
      each.study.image_size = loaded.model->config().image_size;
      models_.push_back(std::move(each));
    }
    set_corruption_options();
    list_cells();
    const DatasetInfo& info = models_[0].evaluation->evaluated_images().from.set->info();
    for (const Studied& model : models_)
      expect(model.evaluation->evaluated_images().from.set->info().fingerprint == info.fingerprint,
             "CHECKPOINT: {} and {} are evaluated on different images; name the data",
             models_[0].study.checkpoint, model.study.checkpoint);
    files_ = CellFiles(
        options.output.empty() ? std::string() : (fs::path(options.output) / "cells").string(),
        made_of(info));
  }

  std::vector<ModelStudy> run() {
    // Models stay, but sets are opened for the models in turn.
    for (Studied& model : models_) reference_of(model);
    ProgressLine line(options_.progress, options_.evaluation.run.quiet);
    const JobClock clock;
    int64_t done = 0;
    for (const CellKey& key : keys_) {
      std::vector<Studied*> missing;
      for (Studied& model : models_) {
        auto cell = files_.find(model.digest, key.name, key.severity);
        if (cell && cell->wrong.empty())
          fail(ErrorKind::data, "{}: {}: a cell without images; remove it", options_.output,
               cell_name(key.name, key.severity));
        if (cell)
          take(model, std::move(*cell));
        else
          missing.push_back(&model);
      }
      while (!missing.empty()) {
        std::vector<Studied*> alike, others;
        for (Studied* const model : missing)
          (read_alike(*missing[0], *model) ? alike : others).push_back(model);
        compute(key, alike);
        missing = others;
      }
      ++done;
      line.show(clock.text(cell_name(key.name, key.severity), done,
                           static_cast<int64_t>(keys_.size()), "cells"));
    }
    std::vector<ModelStudy> studies;
    for (Studied& model : models_) studies.push_back(std::move(model.study));
    return studies;
  }

 private:
  void set_corruption_options() {
    corruption_ = options_.corruption;
    const int64_t side = models_[0].study.image_size;
    const int64_t channels = models_[0].evaluation->loaded().model->config().channels;
    const bool large = default_parameters(side, side) == ParameterSet::imagenet;
    constexpr int kPublishedQuality = 85;
    corruption_.jpeg_quality = options_.jpeg_quality >= 0 ? static_cast<int>(options_.jpeg_quality)
                                                          : (large ? kPublishedQuality : 0);
    corruptions_ = options_.corruptions;
    expect(channels == 3 ||
               std::ranges::find(corruptions_, Corruption::saturate) == corruptions_.end(),
           "--corruptions: saturate: {} sees grey images, which have no colours; leave it out",
           models_[0].study.checkpoint);
    if (std::ranges::find(corruptions_, Corruption::frost) != corruptions_.end() &&
        corruption_.frost_pictures == nullptr && options_.tree.empty())
      log_warning("frost: a texture stands in for photographs; --frost DIR takes them");
  }

  void list_cells() {
    keys_.push_back({kClean, 0, Corruption::gaussian_noise, {}});
    std::vector<std::string> folders;
    if (!options_.tree.empty())
      folders = tree_folders(options_.tree, corruptions_, options_.severities);
    size_t place = 0;
    for (const Corruption corruption : corruptions_)
      for (const int severity : options_.severities) {
        keys_.push_back({name_of(corruption), severity, corruption,
                         folders.empty() ? std::string() : folders[place]});
        ++place;
      }
    for (const CellKey& key : keys_)
      if (!key.folder.empty()) check_size(key.folder);
  }

  /// Published pictures have the network's size already; others would be cut or blown up.
  void check_size(const std::string& folder) const {
    const std::string path = first_picture(folder);
    if (path.empty()) fail(ErrorKind::data, "--tree: {}: no pictures below it", folder);
    const Image picture = read_image(path);
    const int64_t side = models_[0].study.image_size;
    if (picture.width != side || picture.height != side)
      fail(
          ErrorKind::data,
          "--tree: {}: {} x {}, but {} sees {} x {}: corrupted pictures are seen as they are; make "
          "the tree at that size (pal-corrupt --image-size)",
          path, picture.width, picture.height, models_[0].study.checkpoint, side, side);
  }

  std::map<std::string, std::string> made_of(const DatasetInfo& info) const {
    std::string indices;
    for (const int64_t i : models_[0].evaluation->evaluated_images().spec.indices)
      indices += fmt::format("{},", i);
    std::string how =
        options_.tree.empty()
            ? fmt::format("seed {}, jpeg {}, frost {}", corruption_.seed, corruption_.jpeg_quality,
                          corruption_.frost_pictures == nullptr ? std::string("texture")
                          : corruption_.frost_five              ? options_.frost + " (five)"
                                                                : options_.frost)
            : "tree " + options_.tree;
    return {{"images", fmt::format("{} of {:016x}", info.count, info.fingerprint)},
            {"selection", indices.empty() ? "all" : digest_text(indices)},
            {"corruption", std::move(how)}};
  }

  static std::string digest_text(const std::string& text) {
    Hasher hasher;
    hasher.add(text);
    return fmt::format("{:016x}", hasher.value());
  }

  void reference_of(Studied& model) {
    if (!model.study.has_density) return;
    auto cell = files_.find(model.digest, kReference, 0);
    if (!cell) {
      cell.emplace();
      cell->corruption = kReference;
      const CheckpointEvaluation::Images known =
          model.evaluation->reference_images(kReferenceImages, 0);
      const LoadedModel& loaded = model.evaluation->loaded();
      cell->log_density =
          log_densities(evaluate_model(*loaded.model, loaded.input, *known.from.set, known.spec));
      files_.save(model.digest, *cell);
    }
    model.study.reference = cell->log_density;
  }

  static void take(Studied& model, ModelCell cell) {
    if (cell.corruption == kClean)
      model.study.clean = std::move(cell);
    else
      model.study.cells.push_back(std::move(cell));
  }

  /// Evaluates models that read images alike on one cell.
  void compute(const CellKey& key, const std::vector<Studied*>& models) {
    CheckpointEvaluation& first = *models[0]->evaluation;
    EvaluationSpec spec = first.evaluated_images().spec;
    std::unique_ptr<Dataset> made;
    const Dataset* set = first.evaluated_images().from.set.get();
    if (!key.folder.empty()) {
      DatasetSpec from = first.evaluated_images().from.spec;
      from.name = key.folder;
      from.folder.clear();
      made = open_dataset(from, Split::all);
      // As they are.
      spec.transform.resize = models[0]->study.image_size;
      spec.indices = spread_indices(made->info().count);
      expect_as_many(key, made->info().count);
    } else if (key.severity > 0) {
      made = corrupted_set(*set, key.corruption, key.severity, corruption_);
    }
    if (made) set = made.get();
    std::vector<EvaluationPass> passes;
    for (const Studied* const model : models) {
      EvaluationSpec own = model->evaluation->evaluated_images().spec;
      const LoadedModel& loaded = model->evaluation->loaded();
      if (!key.folder.empty())
        own.class_of_label = match_classes(loaded, model->study.checkpoint, set->info(),
                                           options_.evaluation.allow_other_classes)
                                 .class_of_label;
      passes.emplace_back(*loaded.model, loaded.input, set->info().name, own, set->info().count);
    }
    spec.bad_images = key.folder.empty() ? first.evaluated_images().from.bad.get() : nullptr;
    const LoadedModel& loaded = first.loaded();
    const auto batches = evaluation_batches(*loaded.model, loaded.input, *set, spec);
    for (int64_t step = 0; step < batches->steps(); ++step) {
      const Batch batch = batches->batch(0, step);
      for (EvaluationPass& pass : passes) pass.add(batch);
    }
    for (size_t i = 0; i < models.size(); ++i) {
      ModelCell cell = cell_of(key.name, key.severity, passes[i].finish());
      files_.save(models[i]->digest, cell);
      take(*models[i], std::move(cell));
    }
  }

  /// Evenly spread places, as many as are asked for.
  std::vector<int64_t> spread_indices(int64_t count) const {
    const int64_t most = options_.evaluation.most_images;
    std::vector<int64_t> indices;
    if (most > 0 && most < count)
      for (int64_t i = 0; i < most; ++i) indices.push_back(i * count / most);
    return indices;
  }

  /// A mean over cells of different sizes would say less than it seems to.
  void expect_as_many(const CellKey& key, int64_t count) {
    if (tree_images_ == 0) tree_images_ = count;
    if (count != tree_images_)
      fail(ErrorKind::data, "--tree: {}: {} pictures, where other folders have {}", key.folder,
           count, tree_images_);
  }

  const RobustnessOptions& options_;
  EvaluatedSets sets_;
  std::vector<Studied> models_;
  CorruptionOptions corruption_;
  std::vector<Corruption> corruptions_;
  std::vector<CellKey> keys_;
  CellFiles files_{{}, {}};
  int64_t tree_images_ = 0;
};

}  // namespace

std::vector<std::string> checkpoint_labels(const std::vector<std::string>& checkpoints) {
  std::vector<std::string> labels;
  for (const std::string& path : checkpoints) {
    const fs::path file(path);
    const fs::path folder = file.parent_path();
    labels.push_back(folder.filename() == "checkpoints" ? folder.parent_path().filename().string()
                                                        : file.stem().string());
  }
  return std::set<std::string>(labels.begin(), labels.end()).size() == labels.size() ? labels
                                                                                     : checkpoints;
}

std::vector<ModelStudy> study_robustness(const RobustnessOptions& options, Device device) {
  return Study(options, device).run();
}

}  // namespace pal
