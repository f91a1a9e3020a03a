#include "experiments/robustness/ood_comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>

#include "data/sets/known_sets.h"
#include "data/variants/variant_set.h"
#include "experiments/robustness/ood_suite.h"
#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/paths.h"
#include "runtime/text.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

/// What is looked for under a name, before it is opened: a variant with an error in its name would
/// be taken for a folder that is missing.
void expect_known(const std::string& name) {
  DatasetSpec spec;
  spec.name = name;
  if (variant_of(name) || held_out_classes(name) || recorded_name(spec) != kRecordedFolder ||
      path_exists(name))
    return;
  const std::string nearest = nearest_name(name, variant_names());
  expect(nearest.empty(), "--against: {}: no such set; did you mean {}?", one_line(name), nearest);
}

std::vector<SuiteSet> foreign_sets(const OodOptions& options) {
  std::vector<SuiteSet> sets;
  if (!options.suite.empty()) sets = read_suite(options.suite);
  for (const std::string& name : options.against) sets.push_back({name, ""});
  for (size_t i = 0; i < sets.size(); ++i) {
    for (size_t k = 0; k < i; ++k)
      expect(sets[k].name != sets[i].name, "--against: {} is given twice", sets[i].name);
    expect_known(sets[i].name);
  }
  return sets;
}

/// The last part of a path, without the endings of IDX files; other names in full.
std::string short_name(const std::string& name) {
  if (held_out_classes(name) || !path_exists(name)) return one_line(name);
  fs::path path(name);
  if (!path.has_filename()) path = path.parent_path();
  std::string short_one = path.filename().string();
  for (const std::string end : {".gz", "-ubyte", "-idx3", "-idx4", "-images"})
    if (short_one.size() > end.size() && short_one.ends_with(end))
      short_one.resize(short_one.size() - end.size());
  return one_line(short_one);
}

/// Labels that tell the sets apart: short names, or in full where two are alike.
std::vector<std::string> labels_of(const std::vector<SuiteSet>& sets, const std::string& part) {
  std::map<std::string, int> uses;
  for (const SuiteSet& set : sets) ++uses[short_name(set.name)];
  std::vector<std::string> labels;
  for (const SuiteSet& set : sets) {
    const std::string label = short_name(set.name);
    // Names that tables have for something else.
    const bool taken = label == part || label == "training" || label.starts_with("mean of ");
    labels.push_back(uses[label] > 1 ? one_line(set.name) : taken ? "foreign " + label : label);
  }
  return labels;
}

std::vector<ForeignScore> scores_for(const OodOptions& options, const std::string& path,
                                     bool has_density, bool calibrated) {
  const std::vector<ForeignScore> wanted = wanted_scores(options);
  for (const ForeignScore score : wanted) {
    expect(has_density || !needs_density(score),
           "--scores: {}: {} only classifies and has no density; it has entropy and max-posterior",
           name_of(score), path);
    expect(calibrated || score != ForeignScore::familiarity,
           "--scores: familiarity: {} has no calibration; pal-evaluate {} --calibrate makes one",
           path, shell_word(path));
  }
  if (!wanted.empty()) return wanted;
  std::vector<ForeignScore> scores;
  if (!has_density) return {ForeignScore::max_posterior, ForeignScore::entropy};
  for (const ForeignScore score : all_foreign_scores())
    if (calibrated || score != ForeignScore::familiarity) scores.push_back(score);
  return scores;
}

/// The model's images on their way to scores.
class Scorer {
 public:
  Scorer(CheckpointEvaluation& evaluation, const ModelCalibration* calibration)
      : evaluation_(evaluation), calibration_(calibration) {}

  ScoredSet statistics(const CheckpointEvaluation::Images& images) const {
    EvaluationSpec spec = images.spec;
    spec.bad_images = images.from.bad.get();
    const LoadedModel& loaded = evaluation_.loaded();
    ScoredSet scored;
    scored.images =
        image_statistics(*loaded.model, loaded.input, *images.from.set, spec, calibration_);
    for (const ImageStatistics& image : scored.images)
      scored.image_names.push_back(images.from.set->item_name(image.index));
    if (images.from.bad != nullptr) images.from.bad->warn();
    return scored;
  }

 private:
  CheckpointEvaluation& evaluation_;
  const ModelCalibration* calibration_;
};

void add_values(const OodComparison& comparison, ScoredSet& set) {
  for (const ForeignScore score : comparison.scores)
    set.values.push_back(comparison.reference->values(score, set.images));
}

/// Whether a set holds the very images that the model is evaluated on or was trained on.
bool is_own(const OpenedSet& foreign, const std::string& name, const OpenedSet& test,
            const OpenedSet& training) {
  if (variant_of(name) || held_out_classes(name)) return false;
  std::error_code ignored;
  for (const OpenedSet* own : {&test, &training}) {
    const std::string& place = own->spec.name.empty() ? own->spec.folder : own->spec.name;
    if (fs::equivalent(name, place, ignored)) return true;
  }
  const uint64_t fingerprint = foreign.set->info().fingerprint;
  return fingerprint == test.set->info().fingerprint ||
         fingerprint == training.set->info().fingerprint;
}

}  // namespace

OodComparison compare_foreign(const OodOptions& options, Device device) {
  const std::vector<SuiteSet> sets = foreign_sets(options);
  EvaluatedSets opened(options.evaluation);
  CheckpointEvaluation evaluation(options.evaluation, device, 0, opened);
  OodComparison comparison;
  comparison.checkpoint = evaluation.path();
  comparison.part = evaluation.part();
  comparison.chose = evaluation.chose();
  comparison.beta = evaluation.beta();
  comparison.has_density = evaluation.loaded().model->has_density();
  const ModelCalibration* const calibration =
      comparison.has_density ? evaluation.calibration() : nullptr;
  comparison.scores = scores_for(options, evaluation.path(), comparison.has_density,
                                 calibration != nullptr && calibration->has_density());
  const auto test = evaluation.evaluated_images();
  comparison.dataset = test.from.set->info().name;
  const auto reference =
      evaluation.reference_images(options.reference, options.evaluation.run.seed);
  // All are opened before any is scored: what does not fit is found at once.
  std::vector<CheckpointEvaluation::Images> foreign;
  for (const SuiteSet& set : sets) {
    foreign.push_back(evaluation.foreign_images(set.name, options.evaluation.most_images));
    const OpenedSet& from = foreign.back().from;
    if (from.set->info().count == 0)
      fail(ErrorKind::data, "--against: {}: holds no image", one_line(set.name));
    if (is_own(from, set.name, test.from, reference.from))
      log_warning(
          "--against: {}: the model's own images, not foreign ones; an AUC near 50 % says no more "
          "than that",
          one_line(set.name));
  }
  const Scorer scorer(evaluation, calibration);
  comparison.training = scorer.statistics(reference);
  comparison.training.name = "training";
  comparison.training.label = "training";
  comparison.reference.emplace(comparison.training.images, comparison.has_density);
  add_values(comparison, comparison.training);
  comparison.test = scorer.statistics(test);
  comparison.test.name = comparison.test.label = comparison.part;
  add_values(comparison, comparison.test);
  const std::vector<std::string> labels = labels_of(sets, comparison.part);
  for (size_t i = 0; i < sets.size(); ++i) {
    log_info("{}: {} images", labels[i],
             foreign[i].spec.indices.empty()
                 ? foreign[i].from.set->info().count
                 : static_cast<int64_t>(foreign[i].spec.indices.size()));
    ForeignSet set;
    set.scored = scorer.statistics(foreign[i]);
    set.scored.name = sets[i].name;
    set.scored.label = labels[i];
    set.scored.group = sets[i].group;
    add_values(comparison, set.scored);
    for (size_t k = 0; k < comparison.scores.size(); ++k)
      set.rows.push_back({judge_detection(set.scored.values[k], comparison.test.values[k]),
                          judge_detection(set.scored.values[k], comparison.training.values[k])});
    comparison.sets.push_back(std::move(set));
  }
  return comparison;
}

std::vector<ForeignSet::Row> mean_rows(const OodComparison& comparison, const std::string& group) {
  std::vector<const ForeignSet*> members;
  for (const ForeignSet& set : comparison.sets)
    if (set.scored.group == group) members.push_back(&set);
  if (members.empty()) return {};
  const auto n = static_cast<double>(members.size());
  std::vector<ForeignSet::Row> rows(comparison.scores.size());
  const auto mean = [&](size_t k, Detection ForeignSet::Row::*side) {
    Detection sum;
    sum.auc = 0.0;
    for (const ForeignSet* member : members) {
      const Detection& one = member->rows[k].*side;
      sum.auc += one.auc / n;
      sum.aupr_foreign += one.aupr_foreign / n;
      sum.aupr_familiar += one.aupr_familiar / n;
      sum.ap_foreign += one.ap_foreign / n;
      sum.ap_familiar += one.ap_familiar / n;
      sum.fpr95_foreign += one.fpr95_foreign / n;
      sum.fpr95_familiar += one.fpr95_familiar / n;
    }
    // The sets share their negatives, so that their errors do not average out.
    sum.error = std::numeric_limits<double>::quiet_NaN();
    rows[k].*side = sum;
  };
  for (size_t k = 0; k < rows.size(); ++k) {
    mean(k, &ForeignSet::Row::against_test);
    mean(k, &ForeignSet::Row::against_training);
  }
  return rows;
}

}  // namespace pal
