#include "experiments/pages/attack_section.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "experiments/attack_study/attack_charts.h"
#include "experiments/pages/attack_words.h"
#include "experiments/pages/page_table.h"

namespace pal {
namespace {

/// "12.5 %" of a share that may be missing.
std::string plain_percent(const std::optional<double>& share) {
  return share ? fmt::format("{:.1f} %", 100.0 * *share) : std::string("-");
}

/// What both tests say: "10.0 % by density and 5.0 % by familiarity".
std::string flags_text(const std::optional<double>& density,
                       const std::optional<double>& familiarity) {
  std::vector<std::string> parts;
  if (density) parts.push_back(plain_percent(density) + " by density");
  if (familiarity) parts.push_back(plain_percent(familiarity) + " by familiarity");
  return fmt::format("{}", fmt::join(parts, " and "));
}

/// Whether a share of n images is above another of as many, by two standard errors.
bool share_above(const std::optional<double>& high, const std::optional<double>& low, int64_t n) {
  if (!high || !low) return false;
  const double variance = (*high * (1.0 - *high) + *low * (1.0 - *low)) / static_cast<double>(n);
  return *high > *low && *high - *low > 2.0 * std::sqrt(variance);
}

/// "of the 6 of 20 images where it succeeds" where these are not all.
std::string reached_words(const AttackRow& row) {
  return row.reached == row.images ? std::string()
                                   : fmt::format(", among the {} of {} images where it succeeds",
                                                 row.reached, row.images);
}

void add_sizes(const AttackRecord& record, std::vector<std::string>& sentences) {
  const AttackRow *const ddn = leading_ddn(record), *const cw = leading_cw(record);
  if (ddn != nullptr)
    sentences.push_back(fmt::format(
        "The attack ddn, which looks for the least change, changes a pixel by typically {} grey "
        "levels of 255 (L2 norm {}){}.",
        levels_text(*ddn), l2_text(*ddn), reached_words(*ddn)));
  if (cw != nullptr)
    sentences.push_back(fmt::format(
        "The attack of Carlini and Wagner ({}) changes it by typically {} grey levels of 255 (L2 "
        "norm {}){}.",
        attack_words(cw->setting), levels_text(*cw), l2_text(*cw), reached_words(*cw)));
  std::vector<std::string> kept;
  for (const AttackRow& row : record.model.rows)
    if (row.setting.targeted && row.setting.d == 0.0 &&
        (row.setting.kind == AttackKind::ddn ||
         (cw != nullptr && row.setting.kind == AttackKind::cw &&
          row.setting.protocol == cw->setting.protocol)))
      kept.push_back(fmt::format("{} at kappa {}: {:.0f} %", name_of(row.setting.kind),
                                 setting_number(row.setting.kappa), 100.0 * row.success_8bit));
  if (!kept.empty())
    sentences.push_back(
        fmt::format("A picture of 8 bits a value rounds off what is below half a level. After they "
                    "were saved as one, so many attacked images still fool the network: {}. The "
                    "wider the margin kappa, the more should.",
                    fmt::join(kept, ", ")));
}

void add_notices(const AttackRecord& record, std::vector<std::string>& sentences) {
  const ModelAttackReport& model = record.model;
  if (!model.has_density) {
    sentences.emplace_back(
        "The network has no density, so that no test here can notice an attack.");
    return;
  }
  sentences.push_back(fmt::format(
      "An image is flagged if a test gives it a p-value below {:g} %. Of clean images "
      "{} are: false alarms.",
      100.0 * kAttackFlag, flags_text(model.clean_flagged, model.clean_familiarity_flagged)));
  const AttackRow* const cw = leading_cw(record);
  if (cw == nullptr) return;
  const bool density = share_above(cw->flagged, model.clean_flagged, cw->images),
             familiarity =
                 share_above(cw->familiarity_flagged, model.clean_familiarity_flagged, cw->images);
  sentences.push_back(fmt::format(
      "Of images attacked by {} (kappa {}) {} are flagged. {}", attack_words(cw->setting),
      setting_number(cw->setting.kappa), flags_text(cw->flagged, cw->familiarity_flagged),
      density || familiarity
          ? fmt::format("{} more often than clean ones: it is noticed, as far as these shares go.",
                        density && familiarity ? "Both tests flag them"
                        : density              ? "Density flags them"
                                               : "Familiarity flags them")
          : fmt::format("That is no more than false alarms, as far as {} images tell: it goes "
                        "unnoticed.",
                        cw->images)));
  if (const AttackRow* const hidden = hidden_cw(record))
    sentences.push_back(fmt::format(
        "If the attacker aims at a usual density too (d {}), {} are flagged; the change then is {} "
        "grey levels.",
        setting_number(hidden->setting.d), flags_text(hidden->flagged, hidden->familiarity_flagged),
        levels_text(*hidden)));
}

/// The share that is right, or wrong and flagged, by the better test that there is.
std::optional<double> right_or_noticed(const RobustPoint& point) {
  return point.noticed_familiarity ? point.noticed_familiarity : point.noticed_density;
}

void add_curve_words(const AttackRecord& record, std::vector<std::string>& sentences) {
  for (const RobustPoint& point : record.model.curve) {
    if (!(point.eps > 0.0)) continue;
    const auto noticed = right_or_noticed(point);
    sentences.push_back(fmt::format(
        "If {}, {:.1f} % of the answers stay right under the worst of the attacks{} (of clean "
        "images {:.1f} %).",
        record.norm == name_of(AttackNorm::linf)
            ? fmt::format("no value may change by more than {:.2g} levels of 255",
                          kGreyLevels * point.eps)
            : fmt::format("the {} norm of the change is at most {}", record.norm,
                          setting_number(point.eps)),
        100.0 * point.accuracy,
        noticed ? fmt::format(", and {:.1f} % are right or flagged", 100.0 * *noticed)
                : std::string(),
        100.0 * record.model.clean_accuracy));
    return;
  }
}

std::vector<std::string> attack_sentences(const AttackRecord& record) {
  std::vector<std::string> sentences;
  if (!record.model.rows.empty())
    sentences.push_back(fmt::format(
        "{} test images were changed, with all weights known, so that the network takes each for "
        "{}.",
        record.images,
        record.model.rows[0].setting.targeted ? "a wrong class that was drawn for it"
                                              : "any wrong class"));
  if (record.names_classes())
    add_sizes(record, sentences);
  else
    sentences.emplace_back(
        "It was trained for the likelihood of images alone (beta 0): its classes mean nothing, so "
        "that it counts only whether attacks are noticed.");
  add_notices(record, sentences);
  if (record.names_classes()) add_curve_words(record, sentences);
  sentences.emplace_back(
      "These are bounds from one side: a better attack may need less and be noticed less, and a "
      "network that these attacks do not fool is not safe for that.");
  return sentences;
}

std::string health_words(const AttackRecord& record) {
  if (record.warnings.empty())
    return html_paragraph(
        "The attacks' own checks (no slope, steps in vain, noise that does better) found nothing "
        "to "
        "warn of.");
  constexpr size_t kShown = 6;
  std::vector<std::string> shown = record.warnings;
  if (shown.size() > kShown + 1) {
    shown.resize(kShown);
    shown.push_back(fmt::format("and {} more, in attacks.json", record.warnings.size() - kShown));
  }
  return html_paragraph(
             "An attack may be weak; then it is its weakness that the numbers show, not a strength "
             "of the network. The attacks' own checks warn:") +
         html_list(shown);
}

PageTable table_of_attacks(const AttackRecord& record) {
  const ModelAttackReport& model = record.model;
  const bool named = record.names_classes();
  PageTable table;
  table.header = {
      "attack", "kappa", "d", "change, levels of 255", "L2", "fooled %", "fooled in 8 bits %"};
  if (model.has_density) table.header.emplace_back("flagged by density %");
  if (model.calibrated) table.header.emplace_back("flagged by familiarity %");
  if (model.has_density) table.header.emplace_back("AUC %");
  table.header.emplace_back("confidence %");
  const int64_t n = record.images;
  const auto add = [&](std::vector<std::string> cells, const std::optional<double>& density,
                       const std::optional<double>& familiarity, const std::optional<Estimate>& auc,
                       const std::string& confidence) {
    if (model.has_density) cells.push_back(share_text(density, n));
    if (model.calibrated) cells.push_back(share_text(familiarity, n));
    if (model.has_density) cells.push_back(auc_words(auc));
    cells.push_back(confidence);
    table.rows.push_back(std::move(cells));
  };
  add({"none", "-", "-", "0", "0", "-", "-"}, model.clean_flagged, model.clean_familiarity_flagged,
      model.clean_auc, "-");
  for (const AttackRow& row : model.rows) {
    const AttackSetting& s = row.setting;
    add({attack_words(s), s.bounded() ? "-" : setting_number(s.kappa), setting_number(s.d),
         levels_text(row), l2_text(row), named ? share_text(row.success.value, n) : "-",
         named ? share_text(row.success_8bit, n) : "-"},
        row.flagged, row.familiarity_flagged, row.auc_two_tailed,
        named ? fmt::format("{:.1f}", 100.0 * row.confidence) : "-");
  }
  table.caption =
      "Sizes are means over the images that are taken for the goal; all else is over all images. "
      "change: of a typical value (root mean square); L2 has the same error in proportion. fooled "
      "in 8 bits: after the picture was "
      "saved and read. ";
  if (model.has_density)
    table.caption +=
        "flagged: a p-value below 5 %. AUC: how well the density tells attacked images from those "
        "that it learned from (two-tailed); 50 is guessing, below that attacks look more usual "
        "than usual images.";
  return table;
}

RobustCurve curve_of(const AttackRecord& record, const std::string& name) {
  RobustCurve curve;
  curve.name = name;
  for (const RobustPoint& point : record.model.curve) {
    curve.epsilon.push_back(point.eps);
    curve.accuracy.push_back(point.accuracy);
    if (const auto noticed = right_or_noticed(point)) curve.unflagged.push_back(1.0 - *noticed);
  }
  return curve;
}

/// The curves of records that name classes; empty if none has two radii.
std::string robust_drawing(const std::vector<std::pair<std::string, AttackRecord>>& records) {
  RobustChart chart;
  chart.title = "Right answers under the worst of the attacks";
  chart.level = kAttackFlag;
  for (const auto& [label, record] : records)
    if (record.names_classes() && record.model.curve.size() > 1) {
      chart.norm = record.norm;
      chart.curves.push_back(curve_of(record, label));
    }
  if (chart.curves.empty()) return {};
  return html_drawing(
      robust_curve_svg(chart), "Share of right answers over the size of the change that is allowed",
      "Solid: right under every attack of up to this size. Dashed: wrong without a flag (of "
      "familiarity; of density where it has no calibration), which a system that relies on the "
      "flag "
      "must fear.");
}

}  // namespace

std::optional<HtmlSection> attack_section(const RunRecord& run) {
  const auto record = attack_record(run);
  if (!record) return std::nullopt;
  return HtmlSection{
      "attacks", "How far must an attacker go, and is it noticed?",
      "An attacker changes an image as little as makes the answer wrong. A network is better if "
      "the "
      "change must be large, and if attacked images are flagged more often than clean ones.",
      html_list(attack_sentences(*record)) + health_words(*record) +
          robust_drawing({{run.name, *record}}) + table_of_attacks(*record).html()};
}

}  // namespace pal
