#include "experiments/attack_study/attack_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "experiments/measures/detection.h"

namespace pal {
namespace {

// Norms of gradients below this count as none: at the edge of what float32 holds beside scores.
constexpr double kNoGradient = 1e-10;
// Shares of images from which the signs of a weak attack are told.
constexpr double kMostEndedAbove = 0.1;

Estimate column_mean(const std::vector<double>& values) {
  return mean_of(values, [](double value) { return value; });
}

/// Mean and standard error of a share.
Estimate share_of(int64_t count, int64_t all) {
  const double share = static_cast<double>(count) / static_cast<double>(std::max<int64_t>(1, all));
  return {share, std::sqrt(share * (1.0 - share) / static_cast<double>(std::max<int64_t>(1, all)))};
}

Estimate estimated_auc(const std::vector<double>& positives, const std::vector<double>& negatives) {
  const bool several = positives.size() > 1 && negatives.size() > 1;
  return {rank_auc(positives, negatives), several ? auc_standard_error(positives, negatives)
                                                  : std::numeric_limits<double>::quiet_NaN()};
}

/// Which images a p-value flags.
std::vector<bool> flags_of(const std::vector<double>& p) {
  std::vector<bool> flags;
  for (const double value : p) flags.push_back(value < kAttackFlag);
  return flags;
}

std::vector<double> density_p(const OodReference& known, const std::vector<double>& densities) {
  std::vector<double> p;
  for (const double s : densities) p.push_back(known.p_value(OodTest::quantile, s));
  return p;
}

double flagged_share(const std::vector<bool>& flags) {
  return static_cast<double>(std::ranges::count(flags, true)) /
         static_cast<double>(std::max<size_t>(1, flags.size()));
}

std::string images_text(int64_t count, int64_t all) {
  return fmt::format("{} of {} images", count, all);
}

AttackHealth health_of(const AttackRun& run) {
  AttackHealth health;
  const AttackCell& cell = run.cell;
  for (int64_t i = 0; i < cell.count(); ++i) {
    const auto at = static_cast<size_t>(i);
    health.broken += cell.broken[at] > 0.0 ? 1 : 0;
    if (cell.margin_start[at] < 0.0) continue;
    ++health.open;
    health.no_gradient += cell.gradient_start[at] < kNoGradient ? 1 : 0;
    health.never_fell += cell.fell[at] == 0.0 ? 1 : 0;
    health.ended_above += cell.ended_above[at] > 0.0 ? 1 : 0;
    health.noise_better += cell.noise_reached[at] > 0.0 && !cell.reached(i) ? 1 : 0;
  }
  const auto warn = [&](int64_t count, const std::string& what) {
    if (count > 0) health.warnings.push_back(images_text(count, health.open) + ": " + what);
  };
  warn(health.no_gradient,
       "the loss has no slope at the start, so the attack may be blind; try --loss margin");
  warn(health.never_fell, "no step made the objective smaller; the attack did not work there");
  if (static_cast<double>(health.ended_above) > kMostEndedAbove * static_cast<double>(health.open))
    warn(health.ended_above,
         "the last step lies above an earlier one: steps are too long, or too few");
  if (health.broken > 0)
    health.warnings.push_back(images_text(health.broken, cell.count()) +
                              ": the model's answer was not finite at a step");
  warn(health.noise_better, "random noise of the same size reaches what the attack does not");
  for (const auto& [from, reached] : run.transferred) {
    int64_t own = 0, other = 0;
    for (int64_t i = 0; i < cell.count(); ++i) {
      if (cell.margin_start[static_cast<size_t>(i)] < 0.0) continue;
      own += cell.reached(i) ? 1 : 0;
      other += reached[static_cast<size_t>(i)] > 0.0 ? 1 : 0;
    }
    if (other > own)
      health.warnings.push_back(
          fmt::format("images made to fool {} reach {}, the model's own attack {} of {}: the "
                      "attack is weaker than one that does not see the model",
                      from, other, own, health.open));
  }
  return health;
}

AttackRow row_of(const AttackRun& run, const AttackedModelStudy& study, const OodReference* known) {
  const AttackCell& cell = run.cell;
  AttackRow row;
  row.setting = run.setting;
  row.images = cell.count();
  row.confidence = column_mean(cell.confidence).value;
  row.corruption = column_mean(cell.corruption);
  row.rms = column_mean(cell.rms);
  row.l2 = column_mean(cell.l2);
  row.linf = column_mean(cell.linf);
  std::vector<double> contrast = cell.contrast;
  std::erase_if(contrast, [](double value) { return !std::isfinite(value); });
  row.contrast_images = static_cast<int64_t>(contrast.size());
  row.contrast = contrast.empty() ? Estimate{std::numeric_limits<double>::quiet_NaN(), 0.0}
                                  : column_mean(contrast);
  row.entropy_clean = column_mean(cell.clean_entropy).value;
  row.entropy = column_mean(cell.entropy).value;
  row.steps = column_mean(cell.steps).value;
  int64_t kept = 0, in_levels = 0;
  std::vector<double> reached;
  for (int64_t i = 0; i < cell.count(); ++i) {
    const auto at = static_cast<size_t>(i);
    if (cell.reached(i)) reached.push_back(cell.l2[at]);
    in_levels += cell.reached_8bit(i) ? 1 : 0;
    const double kappa = run.setting.bounded() ? 0.0 : run.setting.kappa;
    kept += cell.margin[at] < 0.0 && cell.margin[at] <= -kappa ? 1 : 0;
  }
  row.reached = static_cast<int64_t>(reached.size());
  row.success = share_of(row.reached, row.images);
  row.kept = share_of(kept, row.images).value;
  row.success_8bit = share_of(in_levels, row.images).value;
  row.l2_reached = reached.empty() ? Estimate{std::numeric_limits<double>::quiet_NaN(), 0.0}
                                   : column_mean(reached);
  std::vector<bool> flags;
  if (known != nullptr) {
    row.auc_one_tailed = estimated_auc(known->unfamiliarity(OodTest::one_tailed, cell.density),
                                       known->unfamiliarity(OodTest::one_tailed, known->scores()));
    row.auc_two_tailed = estimated_auc(known->unfamiliarity(OodTest::quantile, cell.density),
                                       known->unfamiliarity(OodTest::quantile, known->scores()));
    flags = flags_of(density_p(*known, cell.density));
    row.flagged = flagged_share(flags);
  }
  if (study.calibrated) {
    flags = flags_of(cell.familiarity);
    row.familiarity_flagged = flagged_share(flags);
  }
  if (!flags.empty()) {
    int64_t unnoticed = 0;
    for (int64_t i = 0; i < cell.count(); ++i)
      unnoticed += cell.reached(i) && !flags[static_cast<size_t>(i)] ? 1 : 0;
    row.unnoticed = share_of(unnoticed, row.images).value;
  }
  row.health = health_of(run);
  for (const auto& [from, took] : run.transferred)
    row.transferred.emplace_back(from, column_mean(took).value);
  return row;
}

/// Robust accuracy at the radii of the options, of a model.
class CurveOf {
 public:
  CurveOf(const AttackedModelStudy& study, const OodReference* known,
          const std::vector<double>& radii)
      : study_(study), known_(known), radii_(radii) {}

  std::vector<RobustPoint> points() {
    const size_t n = study_.image_label.size();
    wrong_.assign(n, false);
    wrong_unflagged_.assign(n, false);
    wrong_8bit_.assign(n, false);
    for (size_t i = 0; i < n; ++i)
      wrong_8bit_[i] = study_.clean.answer[i] != static_cast<double>(study_.image_label[i]);
    wrong_unfamiliar_.assign(n, false);
    std::vector<RobustPoint> points;
    for (size_t k = 0; k < radii_.size(); ++k) {
      RobustPoint point;
      point.eps = radii_[k];
      std::vector<bool> here(n, false);
      take_clean(here);
      for (const AttackRun& run : study_.curve[k]) {
        std::vector<bool> alone(n, false);
        const AttackCell& cell = run.cell;
        take_clean(alone);
        take(cell.answer, cell.density, cell.familiarity, alone);
        for (size_t i = 0; i < n; ++i)
          if (cell.answer_8bit[i] != cell.label[i]) wrong_8bit_[i] = true;
        point.attacks.emplace_back(run.setting.name(), right_share(alone));
        for (size_t i = 0; i < n; ++i) here[i] = here[i] || alone[i];
      }
      point.alone = right_share(here);
      point.accuracy = right_share(wrong_);
      point.accuracy_8bit = right_share(wrong_8bit_);
      if (known_ != nullptr) point.noticed_density = right_share(wrong_unflagged_);
      if (study_.calibrated) point.noticed_familiarity = right_share(wrong_unfamiliar_);
      points.push_back(std::move(point));
    }
    return points;
  }

 private:
  static double right_share(const std::vector<bool>& wrong) { return 1.0 - flagged_share(wrong); }

  /// Adds the images of answers that are not their labels' to those that are lost.
  void take(const std::vector<double>& answer, const std::vector<double>& density,
            const std::vector<double>& familiarity, std::vector<bool>& here) {
    for (size_t i = 0; i < answer.size(); ++i) {
      if (answer[i] == static_cast<double>(study_.image_label[i])) continue;
      here[i] = wrong_[i] = true;
      if (known_ != nullptr && known_->p_value(OodTest::quantile, density[i]) >= kAttackFlag)
        wrong_unflagged_[i] = true;
      if (familiarity[i] >= kAttackFlag) wrong_unfamiliar_[i] = true;
    }
  }

  void take_clean(std::vector<bool>& here) {
    take(study_.clean.answer, study_.clean.density, study_.clean.familiarity, here);
  }

  const AttackedModelStudy& study_;
  const OodReference* known_;
  const std::vector<double>& radii_;
  std::vector<bool> wrong_, wrong_8bit_, wrong_unflagged_, wrong_unfamiliar_;  // at radii so far
};

/// Accuracies of one attack that rise with the radius.
void warn_of_rising(const std::vector<RobustPoint>& curve, const std::string& label,
                    std::vector<std::string>& warnings) {
  for (size_t k = 1; k < curve.size(); ++k) {
    if (curve[k].alone > curve[k - 1].alone)
      warnings.push_back(fmt::format(
          "{}: robust accuracy rises from {:.1f} % to {:.1f} % between the radii {} and {}: the "
          "attack fails at the larger one",
          label, 100.0 * curve[k - 1].alone, 100.0 * curve[k].alone,
          setting_number(curve[k - 1].eps), setting_number(curve[k].eps)));
  }
}

/// Images that an attack without gradients reaches, and none with gradients of the same radius.
void warn_of_squares(const std::vector<AttackRun>& runs, const std::string& label,
                     std::vector<std::string>& warnings) {
  for (const AttackRun& square : runs) {
    if (square.setting.kind != AttackKind::square) continue;
    int64_t better = 0, compared = 0;
    for (int64_t i = 0; i < square.cell.count(); ++i) {
      bool reached = false;
      int64_t others = 0;
      for (const AttackRun& other : runs) {
        const bool alike = other.setting.kind == AttackKind::pgd &&
                           other.setting.norm == square.setting.norm &&
                           other.setting.eps == square.setting.eps &&
                           other.setting.targeted == square.setting.targeted;
        others += alike ? 1 : 0;
        reached = reached || (alike && other.cell.reached(i));
      }
      compared += others > 0 ? 1 : 0;
      better += others > 0 && square.cell.reached(i) && !reached ? 1 : 0;
    }
    if (better > 0)
      warnings.push_back(
          fmt::format("{}: {}: {} are reached without gradients, and not with: "
                      "gradients mislead the attack",
                      label, square.setting.name(), images_text(better, compared)));
  }
}

}  // namespace

AttackReport attack_report_of(const AttackStudy& study, const AttackOptions& options) {
  AttackReport report;
  report.dataset = study.models[0].dataset;
  report.images = study.originals.count();
  report.norm = options.norm == "l2" ? name_of(AttackNorm::l2) : name_of(AttackNorm::linf);
  for (const AttackedModelStudy& model : study.models) {
    ModelAttackReport of;
    of.label = model.label;
    of.checkpoint = model.checkpoint;
    of.beta = model.beta;
    of.has_density = model.has_density;
    of.calibrated = model.calibrated;
    of.left_out = model.left_out;
    of.traced = static_cast<int64_t>(model.traces.size());
    of.crossed_then_shrank = std::ranges::count_if(model.traces, &AttackTrace::crossed_then_shrank);
    std::optional<OodReference> known;
    if (model.has_density) known.emplace(model.reference);
    int64_t right = 0;
    for (size_t i = 0; i < model.image_label.size(); ++i)
      right += model.clean.answer[i] == static_cast<double>(model.image_label[i]) ? 1 : 0;
    of.clean_accuracy = share_of(right, report.images).value;
    if (known) {
      of.clean_auc = estimated_auc(known->unfamiliarity(OodTest::quantile, model.clean.density),
                                   known->unfamiliarity(OodTest::quantile, known->scores()));
      of.clean_flagged = flagged_share(flags_of(density_p(*known, model.clean.density)));
    }
    if (model.calibrated)
      of.clean_familiarity_flagged = flagged_share(flags_of(model.clean.familiarity));
    of.curve = CurveOf(model, known ? &*known : nullptr, options.robust_curve).points();
    const auto add_warnings = [&](const AttackRun& run, const AttackHealth& health) {
      for (const std::string& warning : health.warnings)
        report.warnings.push_back(
            fmt::format("{}: {}: {}", model.label, run.setting.name(), warning));
    };
    for (const AttackRun& run : model.runs) {
      of.rows.push_back(row_of(run, model, known ? &*known : nullptr));
      add_warnings(run, of.rows.back().health);
    }
    for (const auto& of_radius : model.curve) {
      for (const AttackRun& run : of_radius) add_warnings(run, health_of(run));
      warn_of_squares(of_radius, model.label, report.warnings);
    }
    warn_of_squares(model.runs, model.label, report.warnings);
    warn_of_rising(of.curve, model.label, report.warnings);
    report.models.push_back(std::move(of));
  }
  return report;
}

}  // namespace pal
