#include "experiments/attack_study/attack_victim.h"

#include <fmt/format.h>

#include <algorithm>

#include "experiments/measures/shared_pieces.h"

namespace pal {
namespace {

/// Two runs of one attack: the images of the one are judged by the model of the other.
struct Transfer {
  const Victim* victim;
  AttackRun* own;
  const AttackRun* other;
  const std::string* from;  // the other model's label
};

std::vector<Transfer> list_transfers(std::vector<Victim>& victims) {
  std::vector<Transfer> transfers;
  for (Victim& victim : victims) {
    const auto match = [&](std::vector<AttackRun>& own, const std::vector<AttackRun>& others,
                           const std::string& from) {
      for (AttackRun& run : own)
        for (const AttackRun& other : others)
          if (other.setting.name() == run.setting.name())
            transfers.push_back({&victim, &run, &other, &from});
    };
    for (const Victim& other : victims) {
      if (&other == &victim) continue;
      match(victim.study.runs, other.study.runs, other.study.label);
      for (size_t i = 0; i < victim.study.curve.size(); ++i)
        match(victim.study.curve[i], other.study.curve[i], other.study.label);
    }
  }
  return transfers;
}

}  // namespace

void Victim::describe(const std::string& checkpoint, const std::string& label) {
  const LoadedModel& loaded = evaluation->loaded();
  attacked = std::make_unique<AttackedNetwork>(*loaded.model, loaded.input);
  study.checkpoint = checkpoint;
  study.label = label;
  study.digest = model_digest(loaded);
  study.has_density = loaded.model->has_density();
  // A ResNet's loss has none.
  if (study.has_density) study.beta = evaluation->beta();
  study.dataset = evaluation->evaluated_images().from.set->info().name;
  study.class_names = model_class_names(loaded.input, loaded.model->config().classes);
  const ModelCalibration* const calibration = evaluation->calibration();
  study.calibrated = calibration != nullptr && calibration->has_density();
  if (study.calibrated)
    calibrated_by = fmt::format(", calibration of {} images at temperature {}",
                                calibration->count(), calibration->temperature());
}

std::string Victim::lack(const AttackSetting& setting) const {
  if (setting.d != 0.0 && !study.has_density)
    return fmt::format(
        "{}: {} has no density, so no attack can hide from a test of it; leave the weight out, or "
        "name a flow",
        setting.kind == AttackKind::cw ? "--detection" : "--loss", study.checkpoint);
  const int64_t classes = model().config().classes, least = setting.targeted ? 4 : 3;
  if (setting.loss == AttackLoss::dlr && classes < least)
    return fmt::format("--loss: dlr needs {} classes{}; {} has {}", least,
                       setting.targeted ? " (3 with --untargeted)" : "", study.checkpoint, classes);
  return {};
}

AttackBatch Victim::batch(int64_t first, int64_t most, bool targeted) const {
  const int64_t count = std::min(most, originals.count() - first);
  AttackBatch batch;
  batch.images = originals.images.slice_batch(first, count).to(model().device(), Tag::stream);
  for (int64_t i = first; i < first + count; ++i) {
    const auto at = static_cast<size_t>(i);
    batch.goals.push_back({originals.label[at], targeted ? originals.target[at] : -1});
  }
  return batch;
}

AttackJudge Victim::judge() const {
  return {model(), evaluation->loaded().input, *attacked, evaluation->calibration()};
}

void judge_transfers(std::vector<Victim>& victims, int64_t batch_size, Communicator* ranks) {
  const std::vector<Transfer> transfers = list_transfers(victims);
  const int64_t batches = (victims.at(0).originals.count() + batch_size - 1) / batch_size;
  const auto transfer_of = [&](int64_t piece) -> const Transfer& {
    return transfers[static_cast<size_t>(piece / batches)];
  };
  share_pieces(
      ranks, static_cast<int64_t>(transfers.size()) * batches,
      [&](int64_t piece) {
        const Transfer& of = transfer_of(piece);
        const int64_t first = piece % batches * batch_size;
        const AttackBatch batch = of.victim->batch(first, batch_size, of.own->setting.targeted);
        const ImageScores said =
            of.victim->attacked->scores(of.other->cell.images.slice_batch(first, batch.count())
                                            .to(of.victim->model().device(), Tag::stream));
        std::vector<double> reached;
        for (int64_t i = 0; i < batch.count(); ++i)
          reached.push_back(
              margin_of(said.row(i), batch.goals[static_cast<size_t>(i)]).value < 0.0 ? 1.0 : 0.0);
        return Message().add(reached);
      },
      [&](int64_t piece, Message& message) {
        const Transfer& of = transfer_of(piece);
        const auto reached = message.take<double>();
        std::vector<double>& all = of.own->transferred[*of.from];
        all.insert(all.end(), reached.begin(), reached.end());
      });
}

}  // namespace pal
