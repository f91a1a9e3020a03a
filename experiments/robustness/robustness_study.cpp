#include "experiments/robustness/robustness_study.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>

#include "data/corruptions/corrupted_set.h"
#include "data/sources/hasher.h"
#include "experiments/evaluation/checkpoint_evaluation.h"
#include "experiments/report/evaluation_figures.h"
#include "experiments/report/job_clock.h"
#include "experiments/report/run_log.h"
#include "experiments/robustness/published_tree.h"
#include "experiments/robustness/tree_images.h"
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
  std::vector<int32_t> class_of_tree;  // the model's class for each of the tree's
  std::vector<int32_t> among;          // answers are among these; empty: all
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
      each.study.names_classes = each.evaluation->beta() != 0.0;
      // All models share the sets that are open.
      const DatasetSpec& spec = each.evaluation->evaluated_images().from.spec;
      if (i == 0) spec_ = spec;
      expect(
          spec == spec_,
          "CHECKPOINT: {} and {} were trained on different data, or see images of different size; "
          "name the images for all with --dataset, or take one after the other",
          checkpoints[0], checkpoints[i]);
      models_.push_back(std::move(each));
      expect(
          models_[i].evaluation->evaluated_images().spec.indices ==
              models_[0].evaluation->evaluated_images().spec.indices,
          "CHECKPOINT: {} and {} held out different images of their data, which has no test part; "
          "take one after the other",
          checkpoints[0], checkpoints[i]);
    }
    set_corruption_options();
    list_cells();
    if (!options.tree.empty()) match_tree();
    files_ = CellFiles(
        options.output.empty() ? std::string() : (fs::path(options.output) / "cells").string(),
        made_of(), options.evaluation.ranks);
  }

  std::vector<ModelStudy> run() {
    // Models stay, but sets are opened for the models in turn.
    for (Studied& model : models_) reference_of(model);
    ProgressLine line(options_.progress, options_.evaluation.run.quiet);
    const JobClock clock;
    int64_t done = 0;
    int64_t computed = 0;
    for (const CellKey& key : keys_) {
      const auto tree = open_tree(key);
      const std::string pictures = tree ? picture_fingerprint(key.folder) : std::string();
      std::vector<Studied*> missing;
      for (Studied& model : models_) {
        auto cell = files_.find(model.digest, key.name, key.severity, pictures);
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
        compute(key, tree.get(), alike, pictures);
        missing = others;
        ++computed;
      }
      ++done;
      line.show(clock.text(cell_name(key.name, key.severity), done,
                           static_cast<int64_t>(keys_.size()), "cells"));
    }
    line.clear();
    if (computed == 0 && !options_.output.empty())
      log_info("all {} cells were in {}", keys_.size(), options_.output);
    std::vector<ModelStudy> studies;
    for (Studied& model : models_) {
      const auto& among =
          model.among.empty() ? model.evaluation->evaluated_images().spec.among : model.among;
      model.study.answers =
          among.empty() ? model.study.classes : static_cast<int64_t>(among.size());
      studies.push_back(std::move(model.study));
    }
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
    if (channels == 1 && std::erase(corruptions_, Corruption::saturate) > 0) {
      expect(!corruptions_.empty() && !names_saturate(),
             "--corruptions: saturate: {} sees grey images, which have no colours; leave it out",
             models_[0].study.checkpoint);
      log_warning("without saturate: grey images have no colours");
    }
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
  }

  /// Whether saturate was asked for by its own name, not as one of several.
  bool names_saturate() const {
    std::string names = ',' + options_.choice.names + ',';
    std::erase(names, ' ');
    return names.find(",saturate,") != std::string::npos;
  }

  /// The pictures of a cell of a tree; null in memory.
  std::unique_ptr<Dataset> open_tree(const CellKey& key) const {
    if (key.folder.empty()) return nullptr;
    DatasetSpec from = spec_;
    from.name = key.folder;
    from.folder.clear();
    return open_dataset(from, Split::all);
  }

  /// Finds the clean images that the tree was made of, and the classes that it has.
  void match_tree() {
    const auto first =
        std::ranges::find_if(keys_, [](const CellKey& key) { return !key.folder.empty(); });
    const auto tree = open_tree(*first);
    const CheckpointEvaluation::Images clean = models_[0].evaluation->evaluated_images();
    std::vector<int64_t> among = clean.spec.indices;
    tree_.emplace(*clean.from.set, among, *tree, options_.most_images);
    if (const auto chosen = static_cast<int64_t>(tree_->clean_indices().size());
        chosen < clean.from.set->info().count)
      log_info("{} of the {} clean images are those of the tree", chosen,
               clean.from.set->info().count);
    for (Studied& model : models_) {
      model.class_of_tree = match_classes(model.evaluation->loaded(), model.study.checkpoint,
                                          tree->info(), options_.evaluation.allow_other_classes)
                                .class_of_label;
      if (model.class_of_tree.empty() || tree->info().classes() == model.study.classes ||
          !options_.evaluation.restrict_classes)
        continue;
      model.among = model.class_of_tree;
      std::ranges::sort(model.among);
      log_info("{}: answers are chosen among the tree's {} of {} classes", model.study.label,
               model.among.size(), model.study.classes);
    }
  }

  std::map<std::string, std::string> made_of() const {
    const CheckpointEvaluation::Images clean = models_[0].evaluation->evaluated_images();
    const DatasetInfo& info = clean.from.set->info();
    std::string indices;
    for (const int64_t i : tree_ ? tree_->clean_indices() : clean.spec.indices)
      indices += fmt::format("{},", i);
    std::string frost = "texture";
    if (corruption_.frost_pictures != nullptr) {
      Hasher hasher;
      for (const Image& picture : corruption_.frost_pictures->full)
        hasher.add(std::string_view(reinterpret_cast<const char*>(picture.pixels.data()),
                                    picture.pixels.size()));
      frost = fmt::format("{:016x}{}", hasher.value(), corruption_.frost_five ? " (five)" : "");
    }
    std::string how = options_.tree.empty()
                          ? fmt::format("seed {}, jpeg {}, frost {}", corruption_.seed,
                                        corruption_.jpeg_quality, frost)
                          : "tree";
    const std::string& precision = options_.evaluation.run.compute.precision;
    std::string reading = precision.empty() ? "precision as recorded" : precision;
    if (const std::string files = clean.reading(); !files.empty()) reading += ", " + files;
    return {{"images", fmt::format("{} of {:016x}", info.count, info.fingerprint)},
            {"selection", indices.empty() ? "all" : digest_text(indices)},
            {"reference", fmt::format("up to {} images", options_.reference_images)},
            {"corruption", std::move(how)},
            {"classes", options_.evaluation.restrict_classes ? "those of the images" : "all"},
            {"reading", std::move(reading)}};
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
          model.evaluation->reference_images(options_.reference_images, 0);
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

  /// Evaluates models that read images alike on one cell: on pictures of a tree, or else on images
  /// in memory.
  void compute(const CellKey& key, const Dataset* tree, const std::vector<Studied*>& models,
               const std::string& pictures) {
    const CheckpointEvaluation::Images clean = models[0]->evaluation->evaluated_images();
    EvaluationSpec spec = clean.spec;
    spec.bad_images = clean.from.bad.get();
    if (tree_) spec.indices = tree_->clean_indices();
    const Dataset* set = clean.from.set.get();
    std::unique_ptr<Dataset> made;
    std::unique_ptr<BadImageLog> bad;
    if (tree != nullptr) {
      expect_picture_sizes(key.folder, models[0]->study.image_size);
      set = tree;
      // As they are.
      spec.transform.resize = models[0]->study.image_size;
      spec.indices = tree_->pictures_of(*tree);
      bad = bad_image_log(options_.evaluation.data, tree->info().count);
      spec.bad_images = bad.get();
    } else if (key.severity > 0) {
      made = corrupted_set(*set, key.corruption, key.severity, corruption_);
      set = made.get();
    }
    std::vector<EvaluationPass> passes;
    for (const Studied* const model : models) {
      EvaluationSpec own = model->evaluation->evaluated_images().spec;
      const LoadedModel& loaded = model->evaluation->loaded();
      if (tree != nullptr) own.class_of_label = model->class_of_tree;
      if (!model->among.empty()) own.among = model->among;
      passes.emplace_back(*loaded.model, loaded.input, set->info().name, own, set->info().count);
    }
    const LoadedModel& loaded = models[0]->evaluation->loaded();
    share_images(
        evaluation_images(*loaded.model, loaded.input, *set, spec),
        [&](const Batch& batch) {
          Message message;
          for (EvaluationPass& pass : passes) pass.answers(batch).add_to(message);
          return message;
        },
        [&](Message& message) {
          for (EvaluationPass& pass : passes) pass.judge(BatchAnswers::from(message));
        });
    if (spec.bad_images != nullptr && key.severity == 0) spec.bad_images->warn();
    for (size_t i = 0; i < models.size(); ++i) {
      ModelCell cell = cell_of(key.name, key.severity, passes[i].finish());
      files_.save(models[i]->digest, cell, pictures);
      take(*models[i], std::move(cell));
    }
  }

  const RobustnessOptions& options_;
  EvaluatedSets sets_;
  std::vector<Studied> models_;
  CorruptionOptions corruption_;
  std::vector<Corruption> corruptions_;
  std::vector<CellKey> keys_;
  CellFiles files_{{}, {}};
  DatasetSpec spec_;  // of the clean images
  std::optional<TreeImages> tree_;
};

}  // namespace

std::vector<std::string> checkpoint_labels(const std::vector<std::string>& checkpoints) {
  std::vector<std::string> labels;
  for (const std::string& path : checkpoints) labels.push_back(checkpoint_name(path));
  return std::set<std::string>(labels.begin(), labels.end()).size() == labels.size() ? labels
                                                                                     : checkpoints;
}

std::vector<ModelStudy> study_robustness(const RobustnessOptions& options, Device device) {
  return Study(options, device).run();
}

}  // namespace pal
