#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "experiments/attack_study/attack_figures.h"
#include "experiments/attack_study/attack_report.h"
#include "experiments/report/text_table.h"
#include "runtime/file.h"
#include "runtime/json.h"

// The texts and files of an attack report.
namespace pal {
namespace {

namespace fs = std::filesystem;
using AttackJson = nlohmann::ordered_json;

std::string percent_text(double share, int digits = 1) {
  return std::isfinite(share) ? fmt::format("{:.{}f}", 100.0 * share, digits) : "-";
}
std::string percent_text(const std::optional<double>& share) {
  return share ? percent_text(*share) : "-";
}
std::string percent_text(const std::optional<Estimate>& share) {
  return share ? percent_text(share->value) : "-";
}
std::string with_error(const Estimate& estimate, int digits) {
  if (!std::isfinite(estimate.value)) return "-";
  return fmt::format("{:.{}f} +- {:.{}f}", estimate.value, digits, estimate.error, digits);
}

/// A finite number, or null.
AttackJson json_number(double value) {
  return std::isfinite(value) ? AttackJson(value) : AttackJson();
}
AttackJson json_number(const std::optional<double>& value) {
  return value ? json_number(*value) : AttackJson();
}
AttackJson json_number(const Estimate& estimate) {
  return {{"value", json_number(estimate.value)}, {"standard_error", json_number(estimate.error)}};
}
AttackJson json_number(const std::optional<Estimate>& estimate) {
  return estimate ? json_number(*estimate) : AttackJson();
}
/// A number that may be infinite, as options take it.
AttackJson or_inf(double value) {
  return std::isinf(value) ? AttackJson("inf") : AttackJson(value);
}

AttackJson setting_json(const AttackSetting& s) {
  AttackJson json = {{"name", s.name()}, {"attack", name_of(s.kind)}, {"targeted", s.targeted}};
  if (s.kind == AttackKind::cw) {
    json["protocol"] = name_of(s.protocol);
    json["c"] = s.c;
  }
  if (s.bounded()) {
    json["norm"] = name_of(s.norm);
    json["eps"] = s.eps;
  } else {
    json["kappa"] = or_inf(s.kappa);
  }
  if (s.kind == AttackKind::pgd || s.kind == AttackKind::fgsm) json["loss"] = name_of(s.loss);
  json["d"] = s.d;
  json["most_steps"] = s.most_steps();
  return json;
}

AttackJson health_json(const AttackHealth& health) {
  return {{"open", health.open},
          {"no_gradient", health.no_gradient},
          {"never_fell", health.never_fell},
          {"ended_above", health.ended_above},
          {"not_finite", health.broken},
          {"noise_better", health.noise_better},
          {"warnings", health.warnings}};
}

AttackJson row_json(const AttackRow& row) {
  AttackJson json = setting_json(row.setting);
  json["images"] = row.images;
  json["confidence"] = row.confidence;
  json["corruption"] = json_number(row.corruption);
  json["rms"] = json_number(row.rms);
  json["l2"] = json_number(row.l2);
  json["l2_reached"] = json_number(row.l2_reached);
  json["reached"] = row.reached;
  json["linf"] = json_number(row.linf);
  json["success"] = json_number(row.success);
  json["margin_kept"] = row.kept;
  json["success_8bit"] = row.success_8bit;
  json["contrast_ratio"] = json_number(row.contrast);
  json["contrast_images"] = row.contrast_images;
  json["steps"] = row.steps;
  json["auc_one_tailed"] = json_number(row.auc_one_tailed);
  json["auc_two_tailed"] = json_number(row.auc_two_tailed);
  json["flagged"] = json_number(row.flagged);
  json["familiarity_flagged"] = json_number(row.familiarity_flagged);
  json["unnoticed"] = json_number(row.unnoticed);
  json["entropy_clean"] = row.entropy_clean;
  json["entropy"] = row.entropy;
  for (const auto& [from, share] : row.transferred) json["transferred"][from] = share;
  json["health"] = health_json(row.health);
  return json;
}

AttackJson point_json(const RobustPoint& point) {
  AttackJson json = {{"eps", point.eps},
                     {"accuracy", point.accuracy},
                     {"accuracy_alone", point.alone},
                     {"accuracy_8bit", point.accuracy_8bit},
                     {"noticed_density", json_number(point.noticed_density)},
                     {"noticed_familiarity", json_number(point.noticed_familiarity)}};
  for (const auto& [name, accuracy] : point.attacks) json["attacks"][name] = accuracy;
  return json;
}

/// Whether results are Tables 7 to 9's: of cw.
bool in_tables(const AttackRow& row) { return row.setting.kind == AttackKind::cw; }

/// The columns of attacks.csv.
std::string rows_csv(const AttackReport& report) {
  std::string text =
      "model,beta,attack,kind,protocol,kappa,d,norm,eps,loss,images,confidence,corruption,rms,l2,"
      "l2_error,l2_reached,reached,linf,success,margin_kept,success_8bit,contrast_ratio,steps,"
      "auc_one_tailed,auc_two_tailed,flagged,familiarity_flagged,unnoticed,entropy_clean,entropy,"
      "no_gradient,never_fell,ended_above,not_finite,noise_better\n";
  const auto optional = [](const auto& value, const auto& of) {
    return value ? fmt::format("{:.6g}", of(*value)) : std::string();
  };
  const auto plain = [](double value) { return value; };
  const auto estimated = [](const Estimate& e) { return e.value; };
  for (const ModelAttackReport& model : report.models)
    for (const AttackRow& row : model.rows) {
      const AttackSetting& s = row.setting;
      text += fmt::format(
          "{},{},{},{},{},{},{},{},{},{},{},{:.6g},{:.6g},{:.6g},{:.6g},{:.6g},{:.6g},{},{:.6g},"
          "{:.6g},{:.6g},{:.6g},{:.6g},{:.6g},{},{},{},{},{},{:.6g},{:.6g},{},{},{},{},{}\n",
          csv_field(model.label), model.beta ? setting_number(*model.beta) : "", s.name(),
          name_of(s.kind), s.kind == AttackKind::cw ? name_of(s.protocol) : "",
          s.bounded() ? "" : setting_number(s.kappa), setting_number(s.d),
          s.bounded() ? name_of(s.norm) : "", s.bounded() ? setting_number(s.eps) : "",
          s.kind == AttackKind::pgd || s.kind == AttackKind::fgsm ? name_of(s.loss) : "",
          row.images, row.confidence, row.corruption.value, row.rms.value, row.l2.value,
          row.l2.error, row.l2_reached.value, row.reached, row.linf.value, row.success.value,
          row.kept, row.success_8bit, row.contrast.value, row.steps,
          optional(row.auc_one_tailed, estimated), optional(row.auc_two_tailed, estimated),
          optional(row.flagged, plain), optional(row.familiarity_flagged, plain),
          optional(row.unnoticed, plain), row.entropy_clean, row.entropy, row.health.no_gradient,
          row.health.never_fell, row.health.ended_above, row.health.broken,
          row.health.noise_better);
    }
  return text;
}

/// Tables 7 to 9 as the paper has them, a table for each protocol and kappa.
std::string paper_csv(const AttackReport& report) {
  std::vector<double> weights;
  std::vector<std::pair<CwProtocol, double>> tables;
  for (const ModelAttackReport& model : report.models)
    for (const AttackRow& row : model.rows) {
      if (!in_tables(row)) continue;
      if (std::ranges::find(weights, row.setting.d) == weights.end())
        weights.push_back(row.setting.d);
      const std::pair table(row.setting.protocol, row.setting.kappa);
      if (std::ranges::find(tables, table) == tables.end()) tables.push_back(table);
    }
  if (tables.empty()) return {};
  std::ranges::sort(weights);
  std::string text = "protocol,kappa,model,beta";
  for (const char* const what : {"confidence", "corruption", "success", "success_8bit",
                                 "one_tailed", "two_tailed", "entropy"})
    for (const double d : weights) text += fmt::format(",{}_d{}", what, setting_number(d));
  text += ",entropy_clean,clean_auc\n";
  for (const auto& [protocol, kappa] : tables)
    for (const ModelAttackReport& model : report.models) {
      std::vector<const AttackRow*> rows;
      for (const double d : weights) {
        const AttackRow* found = nullptr;
        for (const AttackRow& row : model.rows)
          if (in_tables(row) && row.setting.protocol == protocol && row.setting.kappa == kappa &&
              row.setting.d == d)
            found = &row;
        rows.push_back(found);
      }
      const auto any = std::ranges::find_if(rows, [](const AttackRow* row) { return row; });
      if (any == rows.end()) continue;
      text += fmt::format("{},{},{},{}", name_of(protocol), setting_number(kappa),
                          csv_field(model.label), model.beta ? setting_number(*model.beta) : "");
      const auto column = [&](const auto& value) {
        for (const AttackRow* const row : rows)
          text += row != nullptr ? "," + value(*row) : std::string(",");
      };
      column([](const AttackRow& r) { return percent_text(r.confidence, 2); });
      column([](const AttackRow& r) { return fmt::format("{:.5f}", r.corruption.value); });
      column([](const AttackRow& r) { return percent_text(r.success.value, 2); });
      column([](const AttackRow& r) { return percent_text(r.success_8bit, 2); });
      column([](const AttackRow& r) {
        return r.auc_one_tailed ? percent_text(r.auc_one_tailed->value, 2) : std::string();
      });
      column([](const AttackRow& r) {
        return r.auc_two_tailed ? percent_text(r.auc_two_tailed->value, 2) : std::string();
      });
      column([](const AttackRow& r) { return fmt::format("{:.3f}", r.entropy); });
      text += fmt::format(",{:.3f},{}\n", (*any)->entropy_clean,
                          model.clean_auc ? percent_text(model.clean_auc->value, 2) : "");
    }
  return text;
}

std::string curve_csv(const AttackReport& report) {
  std::string text =
      "model,norm,eps,accuracy,accuracy_alone,accuracy_8bit,noticed_density,noticed_familiarity\n";
  for (const ModelAttackReport& model : report.models)
    for (const RobustPoint& point : model.curve) {
      const auto optional = [](const std::optional<double>& value) {
        return value ? fmt::format("{:.6g}", *value) : std::string();
      };
      text +=
          fmt::format("{},{},{},{:.6g},{:.6g},{:.6g},{},{}\n", csv_field(model.label), report.norm,
                      setting_number(point.eps), point.accuracy, point.alone, point.accuracy_8bit,
                      optional(point.noticed_density), optional(point.noticed_familiarity));
    }
  return text;
}

}  // namespace

std::string to_text(const AttackReport& report) {
  std::string text = fmt::format("{} images of {}; L2 and corruption of values in [0, 1]\n\n",
                                 report.images, report.dataset);
  TextTable clean({"as they are", "accuracy %", "AUC %", "false alarms % density", "familiarity"});
  for (const ModelAttackReport& model : report.models)
    clean.add({model.label, percent_text(model.clean_accuracy), percent_text(model.clean_auc),
               percent_text(model.clean_flagged), percent_text(model.clean_familiarity_flagged)});
  text += clean.text();
  const bool rows = std::ranges::any_of(
      report.models, [](const ModelAttackReport& model) { return !model.rows.empty(); });
  if (rows) {
    TextTable table({"model", "attack", "L2", "corruption", "reached %", "8 bit %", "contrast",
                     "confidence %", "AUC one-tailed %", "two-tailed %", "noticed % density",
                     "familiarity", "entropy", "steps"});
    for (const ModelAttackReport& model : report.models)
      for (const AttackRow& row : model.rows)
        table.add({model.label, row.setting.name(), with_error(row.l2, 3),
                   fmt::format("{:.4f}", row.corruption.value), percent_text(row.success.value),
                   percent_text(row.success_8bit), fmt::format("{:.3f}", row.contrast.value),
                   percent_text(row.confidence), percent_text(row.auc_one_tailed),
                   percent_text(row.auc_two_tailed), percent_text(row.flagged),
                   percent_text(row.familiarity_flagged), fmt::format("{:.2f}", row.entropy),
                   fmt::format("{:.0f}", row.steps)});
    text += "\n\n" + table.text() +
            "\n\nreached: taken for the target, untargeted for another class (8 bit: of the PNG); "
            "noticed: p below 5 %; all means "
            "over all images";
    for (const ModelAttackReport& model : report.models)
      for (const AttackRow& row : model.rows)
        if (row.contrast_images < row.images)
          text += fmt::format("\n{}, {}: contrast over the {} of {} images that have any",
                              model.label, row.setting.name(), row.contrast_images, row.images);
    for (const ModelAttackReport& model : report.models)
      for (const AttackRow& row : model.rows)
        if (row.reached < row.images && row.reached > 0 && !row.setting.bounded())
          text += fmt::format("\n{}, {}: L2 over the {} of {} that are reached {}", model.label,
                              row.setting.name(), row.reached, row.images,
                              with_error(row.l2_reached, 3));
  }
  for (const ModelAttackReport& model : report.models)
    if (model.traced > 0)
      text +=
          fmt::format("\n{}: on {} of {} ways the goal was reached first, then the change shrank",
                      model.label, model.crossed_then_shrank, model.traced);
  const bool curves = std::ranges::any_of(
      report.models, [](const ModelAttackReport& model) { return !model.curve.empty(); });
  if (curves) {
    std::vector<std::string> header = {report.norm + " radius"};
    for (const ModelAttackReport& model : report.models) {
      header.push_back(model.label + " %");
      header.emplace_back("8 bit %");
      if (model.has_density)
        header.emplace_back(model.calibrated ? "or familiarity %" : "or density %");
    }
    TextTable table(header);
    for (size_t k = 0; k < report.models[0].curve.size(); ++k) {
      std::vector<std::string> line = {setting_number(report.models[0].curve[k].eps)};
      for (const ModelAttackReport& model : report.models) {
        const RobustPoint& point = model.curve[k];
        line.push_back(percent_text(point.accuracy));
        line.push_back(percent_text(point.accuracy_8bit));
        if (model.has_density)
          line.push_back(percent_text(point.noticed_familiarity ? point.noticed_familiarity
                                                                : point.noticed_density));
      }
      table.add(line);
    }
    text +=
        "\n\nRobust accuracy: right under the worst of the attacks; 8 bit: of their pictures; or "
        "familiarity, or density: right, or wrong and flagged by that test\n\n" +
        table.text();
  }
  return text;
}

std::string to_json(const AttackReport& report) {
  AttackJson json = {{"dataset", report.dataset},
                     {"images", report.images},
                     {"flag_below", kAttackFlag},
                     {"curve_norm", report.norm}};
  json["models"] = AttackJson::array();
  for (const ModelAttackReport& model : report.models) {
    AttackJson of = {{"label", model.label},
                     {"checkpoint", model.checkpoint},
                     {"beta", model.beta ? or_inf(*model.beta) : AttackJson()},
                     {"has_density", model.has_density},
                     {"calibrated", model.calibrated},
                     {"clean_accuracy", model.clean_accuracy},
                     {"clean_auc", json_number(model.clean_auc)},
                     {"clean_flagged", json_number(model.clean_flagged)},
                     {"clean_familiarity_flagged", json_number(model.clean_familiarity_flagged)},
                     {"left_out", model.left_out}};
    of["attacks"] = AttackJson::array();
    for (const AttackRow& row : model.rows) of["attacks"].push_back(row_json(row));
    of["robust_curve"] = AttackJson::array();
    for (const RobustPoint& point : model.curve) of["robust_curve"].push_back(point_json(point));
    if (model.traced > 0)
      of["traces"] = {{"images", model.traced}, {"crossed_then_shrank", model.crossed_then_shrank}};
    json["models"].push_back(std::move(of));
  }
  json["warnings"] = report.warnings;
  return json_text(json, 2, BadUtf8::replaced);
}

void write_attacks(const AttackOptions& options, const AttackStudy& study,
                   const AttackReport& report, const std::string& json) {
  const fs::path folder(options.output);
  make_folders(folder.string());
  write_atomic((folder / "attacks.json").string(), json + "\n");
  const auto write_some = [&](const char* name, const std::string& text) {
    if (text.find('\n') + 1 < text.size()) write_atomic((folder / name).string(), text);
  };
  write_some("attacks.csv", rows_csv(report));
  write_some("tables7-9.csv", paper_csv(report));
  write_some("robust_curve.csv", curve_csv(report));
  write_attack_figures(options, study, report);
}

}  // namespace pal
