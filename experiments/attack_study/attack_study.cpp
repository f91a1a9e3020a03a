#include "experiments/attack_study/attack_study.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>

#include "data/sources/hasher.h"
#include "experiments/attack_study/attack_targets.h"
#include "experiments/report/run_log.h"
#include "experiments/robustness/robustness_study.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/log.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostAtOnce = 100;

/// A label that can name files: of a path its parts.
std::string file_label(const std::string& label) {
  std::string name;
  for (const fs::path& part : fs::path(label).relative_path())
    if (part != "." && part != "..") name += (name.empty() ? "" : "_") + part.string();
  return name.empty() ? "model" : name;
}

/// A model of the study with what attacks it and judges the results.
struct Victim {
  std::unique_ptr<CheckpointEvaluation> evaluation;
  std::unique_ptr<AttackedNetwork> attacked;
  OriginalImages originals;
  double median = 0.0;
  std::string calibrated_by;  // what familiarity in cells depends on, in words
  AttackedModelStudy study;

  Model& model() const { return *evaluation->loaded().model; }
};

class StudyOfAttacks {
 public:
  StudyOfAttacks(const AttackOptions& options, Device device)
      : options_(options), sets_(options.evaluation) {
    const auto& checkpoints = options.evaluation.checkpoints;
    const auto labels = checkpoint_labels(checkpoints);
    for (size_t i = 0; i < checkpoints.size(); ++i) {
      Victim victim;
      victim.evaluation =
          std::make_unique<CheckpointEvaluation>(options.evaluation, device, i, sets_);
      const LoadedModel& loaded = victim.evaluation->loaded();
      const CheckpointEvaluation::Images from = victim.evaluation->evaluated_images();
      expect(i == 0 || from.from.spec == spec_,
             "CHECKPOINT: {} and {} were trained on different data, or see images of different "
             "size; name the images for all with --dataset, or take one after the other",
             checkpoints[0], checkpoints[i]);
      spec_ = from.from.spec;
      victim.originals = read_originals(from, loaded);
      expect(
          i == 0 || victim.originals.index == victims_[0].originals.index,
          "CHECKPOINT: {} and {} are evaluated on different images of their data; take one after "
          "the other",
          checkpoints[0], checkpoints[i]);
      const int64_t classes = loaded.model->config().classes;
      victim.originals.target = options.targets.empty()
                                    ? draw_targets(victim.originals, classes, seed())
                                    : read_targets(options.targets, victim.originals, classes);
      describe(victim, checkpoints[i], labels[i]);
      if (i == 0)
        batch_size_ = options.evaluation.batch_size > 0
                          ? options.evaluation.batch_size
                          : std::min(from.spec.batch_size, kMostAtOnce);
      victims_.push_back(std::move(victim));
    }
    batch_size_ = std::min(batch_size_, victims_[0].originals.count());
    check_settings();
    const std::string cells =
        options.output.empty() ? std::string() : (fs::path(options.output) / "cells").string();
    files_ = AttackFiles(cells, made_of());
    references_ = CellFiles(cells, made_of());
    for (Victim& victim : victims_) prepare(victim);
  }

  AttackStudy run() {
    if (!options_.output.empty()) {
      make_folders(options_.output);
      for (const Victim& victim : victims_) clear_leftovers(victim);
      write_atomic((fs::path(options_.output) / "targets.csv").string(),
                   targets_csv(victims_[0].originals));
    }
    for (const Victim& victim : victims_)
      for_each_setting(victim, [&](const AttackSetting& setting) {
        total_ += setting.usual_steps() * victim.originals.count();
        ++attacks_;
      });
    ProgressLine line(options_.progress, options_.evaluation.run.quiet);
    line_ = &line;
    for (Victim& victim : victims_) {
      judge_clean(victim);
      for (const AttackSetting& setting : options_.settings)
        if (suits(victim, setting)) victim.study.runs.push_back(attack(victim, setting));
      for (const auto& of_radius : options_.curve) {
        victim.study.curve.emplace_back();
        for (const AttackSetting& setting : of_radius)
          if (suits(victim, setting)) victim.study.curve.back().push_back(attack(victim, setting));
      }
    }
    line.clear();
    line_ = nullptr;
    if (options_.transfer) transfer();
    if (options_.trace > 0)
      for (Victim& victim : victims_) trace(victim);
    AttackStudy study;
    study.originals = victims_[0].originals;
    for (Victim& victim : victims_) study.models.push_back(std::move(victim.study));
    return study;
  }

 private:
  uint64_t seed() const { return options_.evaluation.run.seed; }

  void describe(Victim& victim, const std::string& checkpoint, const std::string& label) const {
    const LoadedModel& loaded = victim.evaluation->loaded();
    victim.attacked = std::make_unique<AttackedNetwork>(*loaded.model, loaded.input);
    victim.study.checkpoint = checkpoint;
    victim.study.label = file_label(label);
    victim.study.digest = model_digest(loaded);
    victim.study.has_density = loaded.model->has_density();
    // A ResNet's loss has none.
    if (victim.study.has_density) victim.study.beta = victim.evaluation->beta();
    victim.study.dataset = victim.evaluation->evaluated_images().from.set->info().name;
    victim.study.class_names = model_class_names(loaded.input, loaded.model->config().classes);
    const ModelCalibration* const calibration = victim.evaluation->calibration();
    victim.study.calibrated = calibration != nullptr && calibration->has_density();
    if (victim.study.calibrated)
      victim.calibrated_by = fmt::format(", calibration of {} images at temperature {}",
                                         calibration->count(), calibration->temperature());
  }

  /// Why a model cannot be attacked so; empty: it can.
  static std::string lack(const Victim& victim, const AttackSetting& setting) {
    if (setting.d != 0.0 && !victim.study.has_density)
      return fmt::format(
          "{}: {} has no density, so no attack can hide from a test of it; leave the weight out, "
          "or "
          "name a flow",
          setting.kind == AttackKind::cw ? "--detection" : "--loss", victim.study.checkpoint);
    const int64_t classes = victim.model().config().classes, least = setting.targeted ? 4 : 3;
    if (setting.loss == AttackLoss::dlr && classes < least)
      return fmt::format("--loss: dlr needs {} classes{}; {} has {}", least,
                         setting.targeted ? " (3 with --untargeted)" : "", victim.study.checkpoint,
                         classes);
    return {};
  }
  static bool suits(const Victim& victim, const AttackSetting& setting) {
    return lack(victim, setting).empty();
  }

  template <typename Body>
  void for_each_setting(const Victim& victim, Body&& body) const {
    for (const AttackSetting& setting : options_.settings)
      if (suits(victim, setting)) body(setting);
    for (const auto& of_radius : options_.curve)
      for (const AttackSetting& setting : of_radius)
        if (suits(victim, setting)) body(setting);
  }

  /// Refuses a model that nothing suits, or nothing of a radius of the curve, and says what is left
  /// out.
  void check_settings() {
    for (Victim& victim : victims_) {
      std::vector<std::string>& left_out = victim.study.left_out;
      const auto check = [&](const std::vector<AttackSetting>& settings, bool told) {
        bool any = settings.empty();
        for (const AttackSetting& setting : settings) {
          any = any || suits(victim, setting);
          if (told && !suits(victim, setting)) left_out.push_back(setting.name());
        }
        if (!any) fail(ErrorKind::usage, "{}", lack(victim, settings.front()));
      };
      check(options_.settings, true);
      // Without --loss a curve takes what the model has.
      for (const auto& of_radius : options_.curve) check(of_radius, !options_.losses.empty());
      if (!left_out.empty())
        log_warning("{}: without {}: it has no density, or too few classes", victim.study.label,
                    fmt::join(left_out, ", "));
    }
  }

  std::map<std::string, std::string> made_of() const {
    const CheckpointEvaluation::Images from = victims_[0].evaluation->evaluated_images();
    const DatasetInfo& info = from.from.set->info();
    Hasher hasher;
    for (size_t i = 0; i < victims_[0].originals.index.size(); ++i)
      hasher.add(
          fmt::format("{}:{},", victims_[0].originals.index[i], victims_[0].originals.target[i]));
    const std::string& precision = options_.evaluation.run.compute.precision;
    return {{"images", fmt::format("{} of {:016x}", info.count, info.fingerprint)},
            {"selection", fmt::format("{:016x}", hasher.value())},
            {"reference", fmt::format("up to {} images", options_.reference)},
            {"batch_size", std::to_string(batch_size_)},
            {"precision", precision.empty() ? "as recorded" : precision},
            {"device", victims_[0].model().device().is_cpu() ? "CPU" : "GPU"},
            {"activation_memory", options_.memory.text()}};
  }

  /// Densities of training images, and what blocks keep in a step.
  void prepare(Victim& victim) {
    Model& model = victim.model();
    {
      // Workspaces grow with the threads, but results, and so the plan, must not depend on them.
      const ThreadScope one(1);
      model.set_policies(
          plan_memory(model.config(), batch_size_, model.device(), options_.memory).policies);
    }
    if (!victim.study.has_density) return;
    auto known = references_.find(victim.study.digest, "reference", 0);
    if (!known) {
      known.emplace();
      known->corruption = "reference";
      const CheckpointEvaluation::Images images =
          victim.evaluation->reference_images(options_.reference, 0);
      known->log_density = log_densities(
          evaluate_model(model, victim.evaluation->loaded().input, *images.from.set, images.spec));
      references_.save(victim.study.digest, *known);
    }
    victim.study.reference = known->log_density;
    victim.median = OodReference(known->log_density).median();
  }

  /// Images from `first` on, and what is wanted of them, on the model's device.
  AttackBatch batch_of(const Victim& victim, int64_t first, bool targeted) const {
    const OriginalImages& from = victim.originals;
    const int64_t count = std::min(batch_size_, from.count() - first);
    AttackBatch batch;
    batch.images = from.images.slice_batch(first, count).to(victim.model().device(), Tag::stream);
    for (int64_t i = first; i < first + count; ++i) {
      const auto at = static_cast<size_t>(i);
      batch.goals.push_back({from.label[at], targeted ? from.target[at] : -1});
    }
    return batch;
  }

  /// Removes what a killed run left half written of a model; another process may be at work on
  /// others.
  void clear_leftovers(const Victim& victim) const {
    const fs::path output(options_.output);
    for (const fs::path& of_model :
         {output / "cells" / victim.study.digest, output / "pictures" / victim.study.label,
          output / "images" / victim.study.label}) {
      remove_leftovers(of_model.string());
      std::error_code ignored;
      for (const auto& entry : fs::directory_iterator(of_model, ignored))
        if (entry.is_directory(ignored)) remove_leftovers(entry.path().string());
    }
  }

  AttackJudge judge_of(const Victim& victim, const std::string& pictures = {}) const {
    return {victim.model(), victim.evaluation->loaded().input, *victim.attacked,
            victim.evaluation->calibration(), pictures};
  }

  std::string pictures_of(const Victim& victim, const AttackSetting& setting) const {
    if (options_.output.empty()) return {};
    return (fs::path(options_.output) / "pictures" / victim.study.label / setting.name()).string();
  }

  void judge_clean(Victim& victim) const {
    victim.study.image_label = victim.originals.label;
    for (int64_t first = 0; first < victim.originals.count(); first += batch_size_) {
      const AttackBatch batch = batch_of(victim, first, true);
      victim.study.clean.append(judge_images(judge_of(victim), batch.images, batch.goals));
    }
  }

  AttackRun attack(Victim& victim, const AttackSetting& setting) {
    AttackRun run;
    run.setting = setting;
    const int64_t count = victim.originals.count();
    const std::string details = setting.details() + victim.calibrated_by;
    std::vector<AttackCell> cells;
    for (int64_t first = 0; first < count; first += batch_size_) {
      const int64_t number = first / batch_size_;
      auto cell = files_.find(victim.study.digest, setting.name(), details, number);
      if (!cell) {
        const AttackBatch batch = batch_of(victim, first, setting.targeted);
        std::vector<uint64_t> streams;
        for (int64_t i = 0; i < batch.count(); ++i)
          streams.push_back(
              static_cast<uint64_t>(victim.originals.index[static_cast<size_t>(first + i)]));
        const auto begin = std::chrono::steady_clock::now();
        const AttackResult result =
            run_attack(*victim.attacked, batch, setting, victim.median, streams);
        seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        worked_ += setting.usual_steps() * batch.count();
        cell = judge_attack(judge_of(victim, pictures_of(victim, setting)), victim.originals, first,
                            setting, batch, result);
        files_.save(victim.study.digest, setting.name(), details, number, *cell);
      }
      done_ += setting.usual_steps() * cell->count();
      cells.push_back(std::move(*cell));
      show(victim, setting);
    }
    run.cell = AttackCell::joined(cells);
    keep(victim, run);
    return run;
  }

  /// Writes what was found of all images, and keeps those that pictures and other models need: all
  /// attacks of ImageNet would be gigabytes.
  void keep(const Victim& victim, AttackRun& run) const {
    if (!options_.output.empty())
      write_attack_cell(
          (fs::path(options_.output) / "images" / victim.study.label / run.setting.name()).string(),
          run.cell,
          {{"format", "palindrome-attack"},
           {"attack", run.setting.name()},
           {"details", run.setting.details()},
           {"model", victim.study.digest}});
    if (!options_.transfer) run.cell.keep_images(std::max(options_.sheet, options_.trace));
  }

  /// Follows the first cw attack on the first images.
  void trace(Victim& victim) {
    const auto setting = std::ranges::find_if(options_.settings, [&](const AttackSetting& each) {
      return each.kind == AttackKind::cw && suits(victim, each);
    });
    if (setting == options_.settings.end()) return;
    AttackBatch batch = batch_of(victim, 0, setting->targeted);
    const int64_t count = std::min(options_.trace, batch.count());
    batch.images = batch.images.slice_batch(0, count);
    batch.goals.resize(static_cast<size_t>(count));
    try {
      victim.study.traces = trace_attack(victim.model(), victim.evaluation->loaded().input, batch,
                                         *setting, victim.median);
    } catch (const Error& error) {
      // What was measured is not to be lost for a picture.
      if (error.kind() != ErrorKind::numerics) throw;
      log_warning("{}: no ways are drawn: {}", victim.study.label, error.what());
    }
  }

  /// Progress, with a time to come from the pace of the attacks so far.
  void show(const Victim& victim, const AttackSetting& setting) {
    std::string eta;
    if (worked_ > 0) {
      const double left = seconds_ / static_cast<double>(worked_) *
                          static_cast<double>(std::max<int64_t>(0, total_ - done_));
      eta = fmt::format(", about {} left", left < 90.0 ? fmt::format("{:.0f} s", left)
                                                       : fmt::format("{:.0f} min", left / 60.0));
      if (!estimated_ && !options_.evaluation.run.quiet) {
        estimated_ = true;
        log_info("{} attack{} on {} images: about {:.0f} min", attacks_, attacks_ == 1 ? "" : "s",
                 victim.originals.count(), std::ceil(left / 60.0));
      }
    }
    if (line_ != nullptr)
      line_->show(fmt::format(
          "{}: {}: {:.0f} % of all steps{}", victim.study.label, setting.name(),
          100.0 * static_cast<double>(done_) / static_cast<double>(std::max<int64_t>(1, total_)),
          eta));
  }

  /// Judges every model on the images that the same attacks made of the others.
  void transfer() {
    for (Victim& victim : victims_) {
      const auto judge = [&](AttackRun& own, const AttackRun& other, const std::string& from) {
        std::vector<double> reached;
        for (int64_t first = 0; first < victim.originals.count(); first += batch_size_) {
          const AttackBatch batch = batch_of(victim, first, own.setting.targeted);
          const ImageScores said =
              victim.attacked->scores(other.cell.images.slice_batch(first, batch.count())
                                          .to(victim.model().device(), Tag::stream));
          for (int64_t i = 0; i < batch.count(); ++i)
            reached.push_back(
                margin_of(said.row(i), batch.goals[static_cast<size_t>(i)]).value < 0.0 ? 1.0
                                                                                        : 0.0);
        }
        own.transferred[from] = reached;
      };
      const auto match = [&](std::vector<AttackRun>& own, const std::vector<AttackRun>& others,
                             const std::string& from) {
        for (AttackRun& run : own)
          for (const AttackRun& other : others)
            if (other.setting.name() == run.setting.name()) judge(run, other, from);
      };
      for (const Victim& other : victims_) {
        if (&other == &victim) continue;
        match(victim.study.runs, other.study.runs, other.study.label);
        for (size_t i = 0; i < victim.study.curve.size(); ++i)
          match(victim.study.curve[i], other.study.curve[i], other.study.label);
      }
    }
  }

  const AttackOptions& options_;
  EvaluatedSets sets_;
  DatasetSpec spec_;
  std::vector<Victim> victims_;
  int64_t batch_size_ = 0;
  AttackFiles files_{{}, {}};
  CellFiles references_{{}, {}};
  ProgressLine* line_ = nullptr;
  int64_t attacks_ = 0;           // of all models
  int64_t total_ = 0, done_ = 0;  // image-steps, as is usual
  int64_t worked_ = 0;            // those of this process
  double seconds_ = 0.0;          // that they took
  bool estimated_ = false;
};

}  // namespace

AttackStudy study_attacks(const AttackOptions& options, Device device) {
  return StudyOfAttacks(options, device).run();
}

}  // namespace pal
