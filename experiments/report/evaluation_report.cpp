#include "experiments/report/evaluation_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "experiments/measures/detection.h"
#include "experiments/report/text_table.h"
#include "experiments/trust/reliability.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/json.h"

namespace pal {
namespace {

using Json = nlohmann::ordered_json;

std::string percent(double share) { return fmt::format("{:.2f}", 100.0 * share); }

/// With fewer classes nearly every image counts as right in the top 5.
constexpr int64_t kLeastClassesForTop5 = 6;

std::string figure_text(const std::optional<double>& figure) {
  return figure ? fmt::format("{:.2f}", *figure) : std::string();
}

/// What the paper's figures are and what they stand beside.
std::string published_note(const CheckpointReport& report) {
  return fmt::format(
      "published: of {} (CE: its L_Y - ln 1000; its bits/dim lie about 0.10 below exact ones); the "
      "others here of {}, {}",
      kPublishedImages, report.dataset,
      report.crops == 1 ? std::string("one crop") : fmt::format("{} crops", report.crops));
}

std::string main_table(const std::vector<CheckpointReport>& reports) {
  bool released = false;
  bool paper = false;
  bool top5 = false;
  for (const auto& report : reports) {
    released = released || report.loss_x_released.has_value();
    paper = paper || report.bits_paper.has_value();
    top5 = top5 || report.classes >= kLeastClassesForTop5;
  }
  std::vector<std::string> header = {"checkpoint", "noise", "images", "top-1 %"};
  if (top5) header.emplace_back("top-5 %");
  header.insert(header.end(), {"L_X", "L_Y", "CE", "entropy", "bits/dim"});
  if (released) header.emplace_back("L_X released");
  if (paper) header.emplace_back("bits paper");
  TextTable table(header);
  for (const auto& report : reports)
    for (const bool noise : {true, false}) {
      const EvaluationResult& result = noise ? report.noisy : report.clean;
      const EvaluationSummary& s = result.summary;
      const auto density = [&](double value) {
        return result.has_density ? fmt::format("{:.4f}", value) : std::string("-");
      };
      std::vector<std::string> row = {noise ? report.checkpoint : "", noise ? "yes" : "no",
                                      std::to_string(s.images), percent(s.acc1)};
      if (top5)
        row.push_back(report.classes >= kLeastClassesForTop5 ? percent(s.acc5) : std::string("-"));
      for (const std::string& text :
           {density(s.loss_x), fmt::format("{:.4f}", s.loss_y), fmt::format("{:.4f}", s.ce),
            fmt::format("{:.4f}", s.entropy), density(s.bits_per_dim)})
        row.push_back(text);
      // The published numbers are noise-free.
      if (released)
        row.push_back(
            !noise && report.loss_x_released ? fmt::format("{:.4f}", *report.loss_x_released) : "");
      if (paper)
        row.push_back(!noise && report.bits_paper ? fmt::format("{:.4f}", *report.bits_paper) : "");
      table.add(row);
      if (noise || report.published == nullptr) continue;
      const PublishedEvaluation& p = *report.published;
      row = {"published", "", "", figure_text(p.acc1)};
      if (top5) row.emplace_back();
      row.insert(row.end(),
                 {figure_text(p.loss_x), "", figure_text(p.ce), "", figure_text(p.bits_per_dim)});
      table.add(row);
    }
  return table.text();
}

std::string calibration_table(const std::vector<CheckpointReport>& reports) {
  std::vector<std::string> header = {"calibration", "ECE %", "MCE %", "top-label ECE %"};
  for (const double threshold : kConfidenceThresholds)
    header.push_back(fmt::format("OCE {}", threshold));
  TextTable table(header);
  for (const auto& report : reports) {
    const EvaluationResult& result = report.noisy;
    std::vector<std::string> row = {report.checkpoint, percent(result.calibration.ece()),
                                    percent(result.calibration.mce()),
                                    percent(top_label_ece(result.images))};
    for (const double threshold : kConfidenceThresholds) {
      const Overconfidence oce = overconfidence(result.images, threshold);
      row.push_back(oce.sufficient() ? fmt::format("{:.2f} +- {:.2f} ({})", oce.value(),
                                                   oce.standard_error(), oce.confident)
                                     : fmt::format("insufficient ({})", oce.confident));
    }
    table.add(row);
    if (const PublishedEvaluation* const p = report.published)
      table.add({"published", figure_text(p->ece), figure_text(p->mce), "", figure_text(p->oce)});
  }
  return table.text();
}

std::string plus_minus(const Estimate& e, double factor, int digits) {
  return fmt::format("{:.{}f} +- {:.{}f}", factor * e.value, digits, factor * e.error, digits);
}

std::string reliability_table(const std::vector<CheckpointReport>& reports) {
  TextTable table({"more on calibration", "NLL", "Brier", "adaptive ECE %", "classwise ECE %",
                   "AURC %", "errors told by confidence, AUC %"});
  for (const auto& report : reports) {
    const EvaluationResult& result = report.noisy;
    const Reliability r = reliability_of(result);
    table.add({report.checkpoint, plus_minus(r.nll, 1.0, 4), plus_minus(r.brier, 1.0, 4),
               plus_minus(r.adaptive_ece, 100.0, 2), plus_minus(r.classwise_ece, 100.0, 2),
               plus_minus(r.aurc, 100.0, 2),
               std::isnan(r.error_auc) ? std::string("-") : percent(r.error_auc)});
  }
  return table.text();
}

std::string ood_table(const std::vector<CheckpointReport>& reports) {
  const bool familiarity = std::ranges::any_of(reports, [](const auto& report) {
    return std::ranges::any_of(report.ood, [](const auto& o) { return o.familiarity.has_value(); });
  });
  std::vector<std::string> header = {"outliers, AUC %", "set",        "images",  "against",
                                     "one-tailed",      "typicality", "quantile"};
  if (familiarity) header.emplace_back("familiarity");
  TextTable table(header);
  for (const auto& report : reports)
    for (const OodReport& ood : report.ood)
      for (const bool clean : {true, false}) {
        // Of several sets the reference's own column would double the table.
        if (!clean && report.ood.size() > 1) continue;
        std::vector<std::string> row = {clean && &ood == &report.ood[0] ? report.checkpoint : "",
                                        ood.set, std::to_string(ood.images),
                                        clean ? fmt::format("{} {}", report.dataset, report.split)
                                              : fmt::format("{} training images", ood.reference)};
        for (const auto& each : ood.rows)
          row.push_back(percent(clean ? each.against_clean : each.against_reference));
        if (clean && ood.familiarity) row.push_back(percent(*ood.familiarity));
        table.add(row);
      }
  return table.text();
}

std::string trust_table(const std::vector<CheckpointReport>& reports) {
  TextTable table({"calibrated", "held out", "temperature", "NLL", "at T", "top-label ECE %",
                   "at T", "sets of", "hold the label %", "mean size", "p at most", "images %"});
  for (const auto& report : reports) {
    if (!report.trust) continue;
    const TrustReport& t = *report.trust;
    for (size_t i = 0; i < t.sets.size(); ++i) {
      std::vector<std::string> row(7);
      if (i == 0)
        row = {report.checkpoint,
               std::to_string(t.held_out),
               fmt::format("{:.4f}", t.temperature),
               plus_minus(t.nll, 1.0, 4),
               plus_minus(t.nll_tempered, 1.0, 4),
               plus_minus(t.ece, 100.0, 2),
               plus_minus(t.ece_tempered, 100.0, 2)};
      row.push_back(fmt::format("{:.0f} %", 100.0 * t.sets[i].level));
      row.push_back(plus_minus({t.sets[i].coverage, t.sets[i].error}, 100.0, 2));
      row.push_back(fmt::format("{:.2f}", t.sets[i].mean_size));
      if (i < t.unfamiliar.size()) {
        row.push_back(fmt::format("{}", t.unfamiliar[i].p));
        row.push_back(percent(t.unfamiliar[i].share));
      }
      table.add(row);
    }
  }
  return table.text();
}

Json published_json(const PublishedEvaluation& p) {
  const auto number = [](const std::optional<double>& figure, double factor) {
    return figure ? Json(*figure * factor) : Json();
  };
  return {{"images", kPublishedImages},   {"loss_x", number(p.loss_x, 1.0)},
          {"ce", number(p.ce, 1.0)},      {"bits_per_dim", number(p.bits_per_dim, 1.0)},
          {"acc1", number(p.acc1, 0.01)}, {"ece", number(p.ece, 0.01)},
          {"mce", number(p.mce, 0.01)},   {"oce", number(p.oce, 1.0)}};
}

Json estimate(const Estimate& e) { return {{"value", e.value}, {"standard_error", e.error}}; }

Json trust_json(const TrustReport& t) {
  Json json = {{"file", t.file},
               {"held_out", t.held_out},
               {"images", t.images},
               {"temperature", t.temperature},
               {"nll", estimate(t.nll)},
               {"nll_tempered", estimate(t.nll_tempered)},
               {"ece_top_label", estimate(t.ece)},
               {"ece_top_label_tempered", estimate(t.ece_tempered)}};
  for (const auto& set : t.sets)
    json["sets"].push_back({{"level", set.level},
                            {"coverage", set.coverage},
                            {"standard_error", set.error},
                            {"mean_size", set.mean_size}});
  for (const auto& each : t.unfamiliar)
    json["unfamiliar"].push_back({{"p", each.p}, {"share", each.share}});
  return json;
}

Json summary_json(const EvaluationResult& result) {
  const EvaluationSummary& s = result.summary;
  const auto density = [&](double value) { return result.has_density ? Json(value) : Json(); };
  return {{"images", s.images},
          {"acc1", s.acc1},
          {"acc5", s.acc5},
          {"loss_x", density(s.loss_x)},
          {"loss_y", s.loss_y},
          {"loss_class", density(s.loss_class)},
          {"ce", s.ce},
          {"bits_per_dim", density(s.bits_per_dim)},
          {"bits_per_dim_standard_error", density(bits_per_dim_of(result).error)},
          {"entropy", s.entropy},
          {"confidence", s.confidence},
          {"loss", result.loss},
          {"images_per_s", result.images_per_s}};
}

Json calibration_json(const EvaluationResult& result) {
  const Reliability r = reliability_of(result);
  Json json = {{"ece", result.calibration.ece()},
               {"mce", result.calibration.mce()},
               {"ece_top_label", top_label_ece(result.images)},
               {"nll", estimate(r.nll)},
               {"brier", estimate(r.brier)},
               {"ece_adaptive", estimate(r.adaptive_ece)},
               {"ece_classwise", estimate(r.classwise_ece)},
               {"aurc", estimate(r.aurc)},
               {"error_auc", std::isnan(r.error_auc) ? Json() : Json(r.error_auc)}};
  for (const double threshold : kConfidenceThresholds) {
    const Overconfidence oce = overconfidence(result.images, threshold);
    json["oce"].push_back({{"threshold", threshold},
                           {"value", oce.value()},
                           {"standard_error", oce.standard_error()},
                           {"confident", oce.confident},
                           {"errors", oce.errors},
                           {"sufficient", oce.sufficient()}});
  }
  for (const CalibrationBin& bin : result.calibration.bins())
    json["bins"].push_back({{"low", bin.low},
                            {"high", bin.high},
                            {"entries", bin.entries},
                            {"positives", bin.positives},
                            {"rate", bin.rate()},
                            {"rate_error", bin.rate_error()}});
  return json;
}

Json ood_json(const OodReport& report) {
  Json json = {{"set", report.set}, {"images", report.images}, {"reference", report.reference}};
  for (const auto& row : report.rows)
    json["tests"].push_back({{"test", name_of(row.test)},
                             {"auc", row.against_clean},
                             {"auc_standard_error", row.error},
                             {"auc_reference", row.against_reference}});
  if (report.familiarity) json["auc_familiarity"] = *report.familiarity;
  return json;
}

}  // namespace

double released_loss_x(const CheckpointReport& report) {
  return report.loss_x_released.value_or(report.clean.summary.loss_x);
}

const char* remark_of(ChoseCheckpoint chose) {
  if (chose == ChoseCheckpoint::no) return "";
  return chose == ChoseCheckpoint::yes ? " (chose the checkpoint)"
                                       : " (perhaps chose the checkpoint)";
}

const OodReport::Row& OodReport::row(OodTest test) const {
  for (const Row& each : rows)
    if (each.test == test) return each;
  fail(ErrorKind::failure, "OodReport: no row {}", name_of(test));
}

OodReport compare_densities(const std::string& set, const OodReference& reference,
                            const std::vector<double>& clean, const std::vector<double>& foreign) {
  OodReport report;
  report.set = set;
  report.images = static_cast<int64_t>(foreign.size());
  report.reference = static_cast<int64_t>(reference.scores().size());
  report.log_densities = foreign;
  for (const OodTest test : {OodTest::one_tailed, OodTest::typicality, OodTest::quantile}) {
    const std::vector<double> positives = reference.unfamiliarity(test, foreign);
    const std::vector<double> negatives = reference.unfamiliarity(test, clean);
    report.rows.push_back({test, rank_auc(positives, negatives),
                           rank_auc(positives, reference.unfamiliarity(test, reference.scores())),
                           positives.size() > 1 && negatives.size() > 1
                               ? auc_standard_error(positives, negatives)
                               : 0.0});
  }
  return report;
}

std::string to_text(const std::vector<CheckpointReport>& reports) {
  std::string text = main_table(reports) + "\n\n" + calibration_table(reports) + "\n\n" +
                     reliability_table(reports);
  bool ood = false;
  std::string notes;
  for (const auto& report : reports) {
    ood = ood || !report.ood.empty();
    if (report.chose != ChoseCheckpoint::no)
      text += fmt::format("\n\n{}: {} images of {}{}: expect less on new images", report.checkpoint,
                          report.split, report.dataset, remark_of(report.chose));
    if (report.classes_among > 0)
      text += fmt::format(
          "\n\n{}: answers among the {} classes of {}{}", report.checkpoint, report.classes_among,
          report.dataset,
          report.own_among ? fmt::format("; on the run's own test images of these classes {:.2f} "
                                         "% top-1, without noise",
                                         100.0 * *report.own_among)
                           : std::string());
    if (report.bits_gaussian)
      notes = fmt::format("\n\nindependent Gaussians per pixel: {:.4f} bits/dim",
                          *report.bits_gaussian);
  }
  const auto with_published =
      std::ranges::find_if(reports, [](const auto& r) { return r.published != nullptr; });
  if (with_published != reports.end()) text += "\n\n" + published_note(*with_published);
  if (ood) text += "\n\n" + ood_table(reports);
  if (std::ranges::any_of(reports, [](const auto& r) { return r.trust.has_value(); }))
    text += "\n\n" + trust_table(reports);
  return text + notes;
}

std::string to_json(const CheckpointReport& report) {
  Json json = {{"checkpoint", report.checkpoint},
               {"dataset", report.dataset},
               {"split", report.split},
               {"chose_checkpoint", report.chose == ChoseCheckpoint::perhaps
                                        ? Json()
                                        : Json(report.chose == ChoseCheckpoint::yes)},
               {"crops", report.crops},
               {"bad_images", report.bad_images.size()}};
  if (report.classes_among > 0) json["classes_among"] = report.classes_among;
  if (report.own_among) json["acc1_own_among"] = *report.own_among;
  json.update(summary_json(report.noisy));
  json.update(calibration_json(report.noisy));
  json["noise_free"] = summary_json(report.clean);
  if (report.loss_x_released) json["noise_free"]["loss_x_released"] = *report.loss_x_released;
  if (report.bits_paper) json["noise_free"]["bits_paper"] = *report.bits_paper;
  if (report.published != nullptr) json["published"] = published_json(*report.published);
  if (report.bits_gaussian) json["bits_per_dim_gaussian"] = *report.bits_gaussian;
  if (!report.ood.empty()) {
    json["ood_auc"] = report.ood[0].row(OodTest::quantile).against_clean;
    for (const OodReport& ood : report.ood) json["ood"].push_back(ood_json(ood));
  }
  if (report.trust) json["calibrated"] = trust_json(*report.trust);
  json["peak_bytes"] = report.peak_bytes;
  if (report.reserved_bytes > 0) json["reserved_bytes"] = report.reserved_bytes;
  return json_text(json, -1, BadUtf8::replaced);
}

void merge_summary(const std::string& path, const CheckpointReport& report) {
  Json summary = Json::object();
  if (std::filesystem::exists(path)) {
    const auto bytes = read_file(path, int64_t{1} << 24);
    summary = parse_ordered_json(std::string(bytes.begin(), bytes.end()));
    if (!summary.is_object()) fail(ErrorKind::data, "{}: expected a JSON object", path);
  }
  summary.update(parse_ordered_json(to_json(report)));
  write_atomic(path, json_text(summary, 2) + "\n");
}

}  // namespace pal
