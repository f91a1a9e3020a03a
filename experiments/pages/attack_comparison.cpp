#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "experiments/attack_study/attack_charts.h"
#include "experiments/pages/attack_section.h"
#include "experiments/pages/attack_words.h"
#include "experiments/pages/page_table.h"
#include "experiments/pages/run_sections.h"

// Attacks on several runs, side by side.
namespace pal {
namespace {

/// With fewer models there is no course over beta to draw.
constexpr size_t kFewestForCharts = 3;

struct AttackedRun {
  std::string label;
  const RunRecord* run = nullptr;
  AttackRecord record;
};

/// Flows by beta, then the others.
std::vector<AttackedRun> attacked_runs(const std::vector<RunRecord>& runs) {
  const auto labels = run_labels(runs);
  std::vector<AttackedRun> attacked;
  for (size_t i = 0; i < runs.size(); ++i)
    if (auto record = attack_record(runs[i]))
      attacked.push_back({labels[i], &runs[i], std::move(*record)});
  std::ranges::stable_sort(attacked, {}, [](const AttackedRun& each) {
    return std::tuple(!each.run->flow, each.run->beta, each.run->seed);
  });
  return attacked;
}

PageTable table_of_runs(const std::vector<AttackedRun>& attacked) {
  PageTable table;
  table.header = {"network",
                  "images",
                  "least change (ddn), levels of 255",
                  "by cw, levels of 255",
                  "fooled by cw in 8 bits %",
                  "clean ones flagged %",
                  "cw flagged %",
                  "cw told by density, AUC %",
                  "cw with d, AUC %"};
  std::set<std::string> leads, weights;
  for (const auto& [label, run, record] : attacked) {
    const AttackRow *const ddn = leading_ddn(record), *const cw = leading_cw(record),
                           *const hidden = hidden_cw(record);
    const ModelAttackReport& model = record.model;
    const bool named = record.names_classes();
    const auto size = [&](const AttackRow* row) {
      if (row == nullptr || !named) return std::string("-");
      return levels_text(*row) +
             (row->reached == row->images ? std::string() : fmt::format(" (of {})", row->reached));
    };
    const int64_t n = record.images;
    table.rows.push_back(
        {label, std::to_string(n), size(ddn), size(cw),
         cw == nullptr || !named ? "-" : share_text(cw->success_8bit, n),
         share_text(model.calibrated ? model.clean_familiarity_flagged : model.clean_flagged, n),
         cw == nullptr ? "-"
                       : share_text(model.calibrated ? cw->familiarity_flagged : cw->flagged, n),
         cw == nullptr ? "-" : auc_words(cw->auc_two_tailed),
         hidden == nullptr ? "-" : auc_words(hidden->auc_two_tailed)});
    if (cw != nullptr)
      leads.insert(fmt::format("{}, kappa {}", name_of(cw->setting.protocol),
                               setting_number(cw->setting.kappa)));
    if (hidden != nullptr) weights.insert(setting_number(hidden->setting.d));
  }
  table.caption = fmt::format(
      "cw: {}{}. Change: of a typical value (root mean square), over the images that "
      "are fooled (of how many, where these are not all). Flagged: a p-value below "
      "{:g} %, of familiarity, or of the density without a calibration.",
      leads.empty() ? std::string("none") : fmt::format("{}, d 0", fmt::join(leads, "; ")),
      weights.empty() ? std::string()
                      : fmt::format("; with d {}, to go unnoticed", fmt::join(weights, "; ")),
      100.0 * kAttackFlag);
  return table;
}

/// A measure of one protocol over beta, a line for each kappa and d; where runs differ in
/// seeds alone, that of the first. Empty where fewer than two betas have it.
std::string over_beta(const std::vector<AttackedRun>& attacked, CwProtocol protocol,
                      AttackMeasure measure, const std::string& title) {
  const bool size = measure == AttackMeasure::l2;
  std::map<std::pair<double, double>, AttackLine> lines;
  std::set<double> betas;
  for (const AttackedRun& each : attacked)
    for (const AttackRow& row : each.record.model.rows) {
      const AttackSetting& s = row.setting;
      if (s.kind != AttackKind::cw || !s.targeted || s.protocol != protocol) continue;
      if (size && !each.record.names_classes()) continue;
      const std::optional<Estimate> value = size ? row.l2_reached : row.auc_two_tailed;
      if (!value || !std::isfinite(value->value)) continue;
      AttackLine& line = lines[{s.kappa, s.d}];
      line.kappa = s.kappa;
      line.d = s.d;
      if (!each.run->flow) {
        if (!line.feed_forward) line.feed_forward = value->value;
        continue;
      }
      if (!each.run->beta || (!line.beta.empty() && line.beta.back() == *each.run->beta)) continue;
      betas.insert(*each.run->beta);
      line.beta.push_back(*each.run->beta);
      line.value.push_back(value->value);
      line.error.push_back(value->error);
    }
  if (betas.size() < 2) return {};
  std::vector<AttackLine> drawn;
  for (auto& [key, line] : lines)
    if (!line.beta.empty()) drawn.push_back(std::move(line));
  return html_drawing(
      attack_beta_svg(title, measure, drawn), title,
      size ? "Over the images that are fooled. Higher: an attacker must change more."
           : "50 is guessing; below, attacked images look more usual than usual ones.");
}

}  // namespace

std::optional<HtmlSection> attack_comparison(const std::vector<RunRecord>& runs) {
  const std::vector<AttackedRun> attacked = attacked_runs(runs);
  if (attacked.size() < 2) return std::nullopt;
  std::string body = table_of_runs(attacked).html();
  if (attacked.size() >= kFewestForCharts) {
    const auto lead = std::ranges::find_if(
        attacked, [](const AttackedRun& each) { return leading_cw(each.record) != nullptr; });
    const CwProtocol protocol =
        lead == attacked.end() ? CwProtocol::converged : leading_cw(lead->record)->setting.protocol;
    const std::string charts =
        over_beta(attacked, protocol, AttackMeasure::l2, "How far attacks must go") +
        over_beta(attacked, protocol, AttackMeasure::detection, "How well attacks are told");
    if (!charts.empty()) body += html_grid(charts, true);
  }
  return HtmlSection{
      "attacks", "When someone attacks",
      "A network is better if an attacker must change images more, and if attacked images are "
      "flagged more often than clean ones. A stronger attack may need less than these.",
      body};
}

}  // namespace pal
