#include "experiments/attack_study/attack_study.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>

#include "data/sources/hasher.h"
#include "experiments/attack_study/attack_targets.h"
#include "experiments/attack_study/attack_victim.h"
#include "experiments/measures/shared_pieces.h"
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

/// An attack on a model, some of whose batches are still to come.
struct OpenAttack {
  Victim* victim;
  AttackRun* run;
  std::vector<AttackCell> cells;  // of each batch
  size_t missing;
};

/// A batch of it.
struct AttackPiece {
  OpenAttack* attack;
  int64_t number;
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
      if (i == 0 && from.from.bad != nullptr && is_first_rank(ranks())) from.from.bad->warn();
      const int64_t classes = loaded.model->config().classes;
      victim.originals.target = options.targets.empty()
                                    ? draw_targets(victim.originals, classes, seed())
                                    : read_targets(options.targets, victim.originals, classes);
      victim.describe(checkpoints[i], file_label(labels[i]));
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
    files_ = AttackFiles(cells, made_of(), ranks());
    references_ = CellFiles(cells, made_of(), ranks());
    for (Victim& victim : victims_) prepare(victim);
  }

  AttackStudy run() {
    if (!options_.output.empty())
      on_first([&] {
        make_folders(options_.output);
        for (const Victim& victim : victims_) clear_leftovers(victim);
        write_atomic((fs::path(options_.output) / "targets.csv").string(),
                     targets_csv(victims_[0].originals));
      });
    for (Victim& victim : victims_) {
      judge_clean(victim);
      list_runs(victim);
    }
    attack_all();
    if (options_.transfer) judge_transfers(victims_, batch_size_, ranks());
    if (options_.trace > 0 && is_first_rank(ranks()))
      for (Victim& victim : victims_) trace(victim);
    AttackStudy study;
    study.originals = victims_[0].originals;
    for (Victim& victim : victims_) study.models.push_back(std::move(victim.study));
    return study;
  }

 private:
  uint64_t seed() const { return options_.evaluation.run.seed; }
  Communicator* ranks() const { return options_.evaluation.ranks; }

  template <typename Body>
  void on_first(Body&& body) const {
    from_first_rank(ranks(), [&] {
      body();
      return Message();
    });
  }

  /// Refuses a model that nothing suits, or nothing of a radius of the curve, and says what is left
  /// out.
  void check_settings() {
    for (Victim& victim : victims_) {
      std::vector<std::string>& left_out = victim.study.left_out;
      const auto check = [&](const std::vector<AttackSetting>& settings, bool told) {
        bool any = settings.empty();
        for (const AttackSetting& setting : settings) {
          any = any || victim.suits(setting);
          if (told && !victim.suits(setting)) left_out.push_back(setting.name());
        }
        if (!any) fail(ErrorKind::usage, "{}", victim.lack(settings.front()));
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
    std::map<std::string, std::string> made = {
        {"images", fmt::format("{} of {:016x}", info.count, info.fingerprint)},
        {"selection", fmt::format("{:016x}", hasher.value())},
        {"reference", fmt::format("up to {} images", options_.reference)},
        {"batch_size", std::to_string(batch_size_)},
        {"precision", precision.empty() ? "as recorded" : precision},
        {"device", victims_[0].model().device().is_cpu() ? "CPU" : "GPU"},
        {"activation_memory", options_.memory.text()}};
    if (std::string reading = from.reading(); !reading.empty())
      made.emplace("reading", std::move(reading));
    return made;
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

  std::string pictures_of(const Victim& victim, const AttackSetting& setting) const {
    return (fs::path(options_.output) / "pictures" / victim.study.label / setting.name()).string();
  }

  int64_t batch_count() const {
    return (victims_[0].originals.count() + batch_size_ - 1) / batch_size_;
  }

  void judge_clean(Victim& victim) const {
    victim.study.image_label = victim.originals.label;
    share_pieces(
        ranks(), batch_count(),
        [&](int64_t number) {
          const AttackBatch batch = victim.batch(number * batch_size_, batch_size_, true);
          Message message;
          judge_images(victim.judge(), batch.images, batch.goals).add_to(message);
          return message;
        },
        [&](int64_t, Message& message) { victim.study.clean.append(JudgedImages::from(message)); });
  }

  void list_runs(Victim& victim) const {
    const auto list = [&](const std::vector<AttackSetting>& settings,
                          std::vector<AttackRun>& runs) {
      for (const AttackSetting& setting : settings)
        if (victim.suits(setting))
          runs.push_back({.setting = setting, .cell = {}, .transferred = {}});
    };
    list(options_.settings, victim.study.runs);
    for (const auto& of_radius : options_.curve) list(of_radius, victim.study.curve.emplace_back());
  }

  /// Does all batches of all attacks, but for those that lie in the folder: as many at once as there
  /// are ranks.
  void attack_all() {
    for (Victim& victim : victims_) {
      const auto open = [&](AttackRun& run) {
        const auto count = static_cast<size_t>(batch_count());
        attacks_.push_back({&victim, &run, std::vector<AttackCell>(count), count});
        total_ += run.setting.usual_steps() * victim.originals.count();
      };
      for (AttackRun& run : victim.study.runs) open(run);
      for (auto& of_radius : victim.study.curve)
        for (AttackRun& run : of_radius) open(run);
    }
    ProgressLine line(options_.progress, options_.evaluation.run.quiet);
    const auto at_once = static_cast<size_t>(RankRounds(ranks()).size());
    std::vector<AttackPiece> missing;
    for (OpenAttack& attack : attacks_)
      for (int64_t number = 0; number < batch_count(); ++number) {
        const AttackPiece piece{&attack, number};
        if (auto cell = files_.find(attack.victim->study.digest, attack.run->setting.name(),
                                    details_of(attack), number))
          take(piece, std::move(*cell), line);
        else
          missing.push_back(piece);
        if (missing.size() == at_once) do_pieces(missing, line);
      }
    do_pieces(missing, line);
    line.clear();
  }

  static std::string details_of(const OpenAttack& attack) {
    return attack.run->setting.details() + attack.victim->calibrated_by;
  }

  /// Attacks at most one batch on each rank, and empties the list.
  void do_pieces(std::vector<AttackPiece>& pieces, ProgressLine& line) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<AttackCell> cells;
    share_pieces(
        ranks(), static_cast<int64_t>(pieces.size()),
        [&](int64_t i) {
          Message message;
          attack(pieces[static_cast<size_t>(i)]).add_to(message);
          return message;
        },
        [&](int64_t, Message& message) { cells.push_back(AttackCell::from(message)); });
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    for (size_t i = 0; i < pieces.size(); ++i) {
      const OpenAttack& of = *pieces[i].attack;
      const AttackSetting& setting = of.run->setting;
      worked_ += setting.usual_steps() * cells[i].count();
      if (!options_.output.empty())
        on_first([&] { write_pictures(pictures_of(*of.victim, setting), cells[i]); });
      files_.save(of.victim->study.digest, setting.name(), details_of(of), pieces[i].number,
                  cells[i]);
      take(pieces[i], std::move(cells[i]), line);
    }
    pieces.clear();
  }

  AttackCell attack(const AttackPiece& piece) const {
    const Victim& victim = *piece.attack->victim;
    const AttackSetting& setting = piece.attack->run->setting;
    const int64_t first = piece.number * batch_size_;
    const AttackBatch batch = victim.batch(first, batch_size_, setting.targeted);
    std::vector<uint64_t> streams;
    for (int64_t i = 0; i < batch.count(); ++i)
      streams.push_back(
          static_cast<uint64_t>(victim.originals.index[static_cast<size_t>(first + i)]));
    const AttackResult result =
        run_attack(*victim.attacked, batch, setting, victim.median, streams);
    return judge_attack(victim.judge(), victim.originals, first, setting, batch, result);
  }

  /// Puts a batch to the others of its attack, which is done with the last of them.
  void take(const AttackPiece& piece, AttackCell cell, ProgressLine& line) {
    OpenAttack& of = *piece.attack;
    done_ += of.run->setting.usual_steps() * cell.count();
    of.cells[static_cast<size_t>(piece.number)] = std::move(cell);
    if (--of.missing == 0) {
      of.run->cell = AttackCell::joined(of.cells);
      of.cells.clear();
      keep(*of.victim, *of.run);
    }
    show(*of.victim, of.run->setting, line);
  }

  /// Writes what was found of all images, and keeps those that pictures and other models need: all
  /// attacks of ImageNet would be gigabytes.
  void keep(const Victim& victim, AttackRun& run) const {
    if (!options_.output.empty())
      on_first([&] {
        const fs::path folder = fs::path(options_.output) / "images" / victim.study.label;
        auto metadata =
            array_metadata("attack", victim.study.digest, made_of().at("images"), attack_fields());
        metadata["attack"] = run.setting.name();
        metadata["details"] = run.setting.details();
        write_attack_cell((folder / run.setting.name()).string(), run.cell, metadata);
      });
    if (!options_.transfer) run.cell.keep_images(std::max(options_.sheet, options_.trace));
  }

  /// Follows the first cw attack on the first images.
  void trace(Victim& victim) {
    const auto setting = std::ranges::find_if(options_.settings, [&](const AttackSetting& each) {
      return each.kind == AttackKind::cw && victim.suits(each);
    });
    if (setting == options_.settings.end()) return;
    const AttackBatch batch =
        victim.batch(0, std::min(options_.trace, batch_size_), setting->targeted);
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
  void show(const Victim& victim, const AttackSetting& setting, ProgressLine& line) {
    std::string eta;
    if (worked_ > 0) {
      const double left = seconds_ / static_cast<double>(worked_) *
                          static_cast<double>(std::max<int64_t>(0, total_ - done_));
      eta = fmt::format(", about {} left", left < 90.0 ? fmt::format("{:.0f} s", left)
                                                       : fmt::format("{:.0f} min", left / 60.0));
      if (!estimated_ && !options_.evaluation.run.quiet) {
        estimated_ = true;
        log_info("{} attack{} on {} images: about {:.0f} min", attacks_.size(),
                 attacks_.size() == 1 ? "" : "s", victim.originals.count(), std::ceil(left / 60.0));
      }
    }
    line.show(fmt::format(
        "{}: {}: {:.0f} % of all steps{}", victim.study.label, setting.name(),
        100.0 * static_cast<double>(done_) / static_cast<double>(std::max<int64_t>(1, total_)),
        eta));
  }

  const AttackOptions& options_;
  EvaluatedSets sets_;
  DatasetSpec spec_;
  std::vector<Victim> victims_;
  int64_t batch_size_ = 0;
  AttackFiles files_{{}, {}};
  CellFiles references_{{}, {}};
  std::vector<OpenAttack> attacks_;  // of all models
  int64_t total_ = 0, done_ = 0;     // image-steps, as is usual
  int64_t worked_ = 0;               // those that lay in no file
  double seconds_ = 0.0;             // that they took
  bool estimated_ = false;
};

}  // namespace

AttackStudy study_attacks(const AttackOptions& options, Device device) {
  return StudyOfAttacks(options, device).run();
}

}  // namespace pal
