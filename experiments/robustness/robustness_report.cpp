#include "experiments/robustness/robustness_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "data/corruptions/corruption.h"
#include "experiments/measures/detection.h"
#include "experiments/report/matrix_chart.h"
#include "experiments/report/text_table.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/json.h"

namespace pal {
namespace {

using Json = nlohmann::ordered_json;

// The paper's colours of Table 3.
constexpr double kGood = 0.85, kSome = 0.55;

/// All densities of a corruption's images.
std::vector<double> pooled(const std::vector<const ModelCell*>& cells,
                           std::vector<double> ModelCell::*member) {
  std::vector<double> all;
  for (const ModelCell* const cell : cells)
    all.insert(all.end(), (cell->*member).begin(), (cell->*member).end());
  return all;
}

Estimate auc_of(const std::vector<double>& positives, const std::vector<double>& negatives) {
  return {rank_auc(positives, negatives), auc_standard_error(positives, negatives)};
}

std::string share_text(double share, int digits = 1) {
  return fmt::format("{:.{}f}", 100.0 * share, digits);
}

std::string share_text(const std::optional<double>& share, int digits = 1) {
  return share ? share_text(*share, digits) : std::string("-");
}

/// An AUC with the mark of its colour.
std::string marked(const std::optional<Estimate>& auc) {
  if (!auc) return "-";
  const char* const mark = auc->value >= kGood ? "++" : auc->value > kSome ? "+ " : "  ";
  return fmt::format("{} {}", share_text(auc->value), mark);
}

std::vector<std::string> corruptions_of(const std::vector<RobustnessReport>& reports) {
  std::vector<std::string> names;
  for (const CorruptionRow& row : reports[0].rows) names.push_back(row.corruption);
  return names;
}

std::string means_name(const RobustnessReport& report) {
  return fmt::format("mean of {}", report.counted);
}

Json optional_json(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

Json estimate_json(const std::optional<Estimate>& estimate) {
  if (!estimate) return {};
  return {{"value", estimate->value}, {"standard_error", estimate->error}};
}

Json row_json(const CorruptionRow& row) {
  Json json = {{"corruption", row.corruption},
               {"group", group_of(*corruption_of(row.corruption))},
               {"mean_error", row.errors.mean_error},
               {"corruption_error", optional_json(row.errors.ce)},
               {"relative_corruption_error", optional_json(row.errors.relative)},
               {"entropy_gain", row.entropy_gain},
               {"auc", estimate_json(row.auc)},
               {"auc_clean", estimate_json(row.auc_clean)},
               {"auc_entropy", estimate_json(row.auc_entropy)}};
  for (const auto& each : row.severities)
    json["severities"].push_back({{"severity", each.severity},
                                  {"error", each.error},
                                  {"ce", each.ce},
                                  {"ece", each.ece},
                                  {"entropy_gain", each.entropy_gain}});
  return json;
}

}  // namespace

ReferenceErrors reference_of(const std::string& text) {
  if (text == "alexnet") return alexnet_errors();
  ReferenceErrors read = read_reference_errors(text), named{read.name, read.clean, {}};
  for (const auto& [name, error] : read.mean) {
    const auto corruption = corruption_of(name);
    expect(corruption.has_value(), "--mce-reference: {}: no corruption {}", text, name);
    named.mean[name_of(*corruption)] = error;
  }
  return named;
}

std::string CorruptionRow::title() const {
  return corruption + (extra ? " (extra)" : "") + (texture ? " (texture)" : "");
}

RobustnessReport report_of(const ModelStudy& study, const ReferenceErrors* reference,
                           bool frost_texture) {
  RobustnessReport report;
  report.label = study.label;
  report.checkpoint = study.checkpoint;
  report.dataset = study.dataset;
  report.images = study.clean.count();
  report.has_density = study.has_density;
  report.names_classes = study.names_classes;
  report.clean_error = study.clean.error();
  report.clean_ce = study.clean.mean_ce();
  report.clean_ece = study.clean.ece();
  std::optional<OodReference> known;
  std::vector<double> clean, trained;
  if (study.has_density) {
    known.emplace(study.reference);
    clean = known->unfamiliarity(OodTest::quantile, study.clean.log_density);
    trained = known->unfamiliarity(OodTest::quantile, study.reference);
  }
  std::vector<CorruptionCell> cells;
  for (const ModelCell& cell : study.cells)
    cells.push_back({cell.corruption, cell.severity, cell.error()});
  for (const CorruptionError& errors : corruption_errors(cells, report.clean_error, reference)) {
    CorruptionRow row;
    row.corruption = errors.corruption;
    row.extra = is_extra(*corruption_of(errors.corruption));
    row.texture = frost_texture && corruption_of(errors.corruption) == Corruption::frost;
    row.errors = errors;
    std::vector<const ModelCell*> own;
    for (const ModelCell& cell : study.cells)
      if (cell.corruption == errors.corruption) own.push_back(&cell);
    for (const ModelCell* const cell : own) {
      const double gain = cell->mean_entropy() - study.clean.mean_entropy();
      row.severities.push_back({cell->severity, cell->error(), cell->mean_ce(), cell->ece(), gain});
      row.entropy_gain += gain / static_cast<double>(own.size());
    }
    if (known) {
      const auto foreign =
          known->unfamiliarity(OodTest::quantile, pooled(own, &ModelCell::log_density));
      row.auc = auc_of(foreign, trained);
      row.auc_clean = auc_of(foreign, clean);
    }
    row.auc_entropy = auc_of(pooled(own, &ModelCell::entropy), study.clean.entropy);
    report.rows.push_back(std::move(row));
  }
  std::vector<CorruptionError> counted;
  double sum = 0.0, sum_clean = 0.0;
  for (const CorruptionRow& row : report.rows) {
    if (row.extra) continue;
    counted.push_back(row.errors);
    if (row.auc) sum += row.auc->value;
    if (row.auc_clean) sum_clean += row.auc_clean->value;
    report.mean_auc_entropy += row.auc_entropy.value;
    report.mean_entropy_gain += row.entropy_gain;
  }
  report.counted = static_cast<int64_t>(counted.size());
  report.means = means_of(counted);
  const auto count = static_cast<double>(std::max<int64_t>(1, report.counted));
  report.mean_auc_entropy /= count;
  report.mean_entropy_gain /= count;
  if (study.has_density && report.counted > 0) {
    report.mean_auc = sum / count;
    report.mean_auc_clean = sum_clean / count;
  }
  return report;
}

std::string to_text(const std::vector<RobustnessReport>& reports,
                    const ReferenceErrors* reference) {
  std::vector<std::string> header = {"told by density (quantile test), AUC %"};
  for (const RobustnessReport& report : reports) header.push_back(report.label);
  TextTable detection(header);
  const bool any_density = std::ranges::any_of(reports, &RobustnessReport::has_density);
  for (size_t i = 0; i < reports[0].rows.size(); ++i) {
    std::vector<std::string> cells = {reports[0].rows[i].title()};
    for (const RobustnessReport& report : reports) cells.push_back(marked(report.rows[i].auc));
    detection.add(cells);
  }
  std::vector<std::string> means = {means_name(reports[0])};
  for (const RobustnessReport& report : reports)
    means.push_back(report.mean_auc ? share_text(*report.mean_auc) + "   " : "-");
  if (reports[0].counted > 0) detection.add(means);
  header[0] = "error, %";
  TextTable errors(header);
  std::vector<std::string> clean = {"clean"};
  const auto error_text = [](const RobustnessReport& report, double error, int digits) {
    return report.names_classes ? share_text(error, digits) : std::string("-");
  };
  for (const RobustnessReport& report : reports)
    clean.push_back(error_text(report, report.clean_error, 1));
  errors.add(clean);
  for (size_t i = 0; i < reports[0].rows.size(); ++i) {
    std::vector<std::string> cells = {reports[0].rows[i].title()};
    for (const RobustnessReport& report : reports)
      cells.push_back(error_text(report, report.rows[i].errors.mean_error, 1));
    errors.add(cells);
  }
  TextTable overall({"", "images", "clean error %",
                     fmt::format("error %, {}", means_name(reports[0])), "mean accuracy %", "mCE %",
                     "relative mCE %", "entropy gain, nats", "told by entropy, AUC %"});
  for (const RobustnessReport& report : reports) {
    const bool named = report.names_classes && report.counted > 0;
    overall.add({report.label, grouped(report.images), error_text(report, report.clean_error, 2),
                 named ? share_text(report.means.error, 2) : "-",
                 named ? share_text(1.0 - report.means.error, 2) : "-",
                 named ? share_text(report.means.mce) : "-",
                 named ? share_text(report.means.relative_mce) : "-",
                 named ? fmt::format("{:+.3f}", report.mean_entropy_gain) : "-",
                 named ? share_text(report.mean_auc_entropy) : "-"});
  }
  std::string text;
  if (any_density)
    text += detection.text() +
            "\n++ from 85 (good), + above 55 (some), else as by guessing; all "
            "severities together, against training images\n\n";
  text += errors.text() + "\n\n" + overall.text();
  if (reference != nullptr) {
    text += fmt::format("\nmCE: by the errors of {}", reference->name);
    std::vector<std::string> unknown;
    for (const CorruptionRow& row : reports[0].rows)
      if (!row.extra && !row.errors.ce) unknown.push_back(row.corruption);
    if (!unknown.empty())
      text += fmt::format(", which has none above 0 of {}: no mean", fmt::join(unknown, ", "));
  }
  if (std::ranges::any_of(reports, [](const auto& r) { return !r.names_classes; }))
    text += "\n- of errors: trained at beta 0, without classes";
  return text;
}

std::string to_json(const std::vector<RobustnessReport>& reports, const ReferenceErrors* reference,
                    bool frost_texture) {
  Json list = Json::array();
  for (const RobustnessReport& report : reports) {
    Json json = {{"checkpoint", report.checkpoint},
                 {"label", report.label},
                 {"dataset", report.dataset},
                 {"names_classes", report.names_classes},
                 {"images", report.images},
                 {"clean_error", report.clean_error},
                 {"clean_ce", report.clean_ce},
                 {"clean_ece", report.clean_ece},
                 {"corruptions_counted", report.counted},
                 {"mean_error", report.means.error},
                 {"mce", optional_json(report.means.mce)},
                 {"relative_mce", optional_json(report.means.relative_mce)},
                 {"mean_auc", optional_json(report.mean_auc)},
                 {"mean_auc_clean", optional_json(report.mean_auc_clean)},
                 {"mean_auc_entropy", report.mean_auc_entropy},
                 {"mean_entropy_gain", report.mean_entropy_gain}};
    for (const CorruptionRow& row : report.rows) json["corruptions"].push_back(row_json(row));
    list.push_back(std::move(json));
  }
  const Json all = {{"reference", reference == nullptr ? Json() : Json(reference->name)},
                    {"frost", frost_texture ? "texture" : "photographs"},
                    {"models", std::move(list)}};
  return json_text(all, -1, BadUtf8::replaced);
}

void write_robustness(const std::string& folder, const std::vector<RobustnessReport>& reports,
                      const std::string& json) {
  namespace fs = std::filesystem;
  make_folders((fs::path(folder) / "errors").string());
  const auto file = [&](const std::string& name) { return (fs::path(folder) / name).string(); };
  std::string table = "corruption", long_table, means;
  for (const RobustnessReport& report : reports) table += "," + csv_field(report.label);
  table += '\n';
  MatrixChart chart;
  chart.title = "Corrupted images told by density (quantile test), AUC %";
  chart.unit = "blue: from 85, yellow: above 55, grey: as by guessing; AUC %";
  chart.digits = 1;
  for (const RobustnessReport& report : reports)
    if (report.has_density) chart.columns.push_back(report.label);
  const auto names = corruptions_of(reports);
  const size_t lines = names.size() + (reports[0].counted > 0 ? 1 : 0);
  for (size_t i = 0; i < lines; ++i) {
    const bool of_means = i == names.size();
    const std::string name = of_means ? means_name(reports[0]) : reports[0].rows[i].title();
    table += csv_field(name);
    chart.rows.push_back(name);
    for (const RobustnessReport& report : reports) {
      const auto auc = of_means             ? report.mean_auc
                       : report.rows[i].auc ? std::optional<double>(report.rows[i].auc->value)
                                            : std::nullopt;
      table += auc ? fmt::format(",{}", *auc) : ",";
      if (!auc) continue;
      chart.values.push_back(100.0 * *auc);
      chart.colors.emplace_back(*auc >= kGood ? "#9ecae1" : *auc > kSome ? "#ffe699" : "#e0e0e0");
    }
    table += '\n';
  }
  long_table = "model,corruption,severity,error,ce,ece,entropy_gain\n";
  means =
      "model,images,corruptions,clean_error,mean_error,mce,relative_mce,mean_auc,mean_auc_clean,"
      "mean_auc_entropy,mean_entropy_gain\n";
  const auto text = [](const std::optional<double>& value) {
    return value ? fmt::format("{}", *value) : std::string();
  };
  for (const RobustnessReport& report : reports) {
    ReferenceErrors own{report.label, report.clean_error, {}};
    for (const CorruptionRow& row : report.rows) {
      own.mean[row.corruption] = row.errors.mean_error;
      for (const auto& each : row.severities)
        fmt::format_to(std::back_inserter(long_table), "{},{},{},{},{},{},{}\n",
                       csv_field(report.label), row.corruption, each.severity, each.error, each.ce,
                       each.ece, each.entropy_gain);
    }
    fmt::format_to(std::back_inserter(means), "{},{},{},{},{},{},{},{},{},{},{}\n",
                   csv_field(report.label), report.images, report.counted, report.clean_error,
                   report.means.error, text(report.means.mce), text(report.means.relative_mce),
                   text(report.mean_auc), text(report.mean_auc_clean), report.mean_auc_entropy,
                   report.mean_entropy_gain);
    std::string name = report.label;
    std::ranges::replace(name, '/', '_');
    // Means over fewer severities would pass for those of all.
    if (report.names_classes && !report.rows.empty() &&
        report.rows[0].severities.size() == kSeverities)
      write_atomic(file("errors/" + name + ".csv"), reference_csv(own));
  }
  write_atomic(file("robustness.json"), json + "\n");
  write_atomic(file("table3.csv"), table);
  write_atomic(file("corruptions.csv"), long_table);
  write_atomic(file("means.csv"), means);
  if (!chart.columns.empty()) write_atomic(file("table3.svg"), chart.svg());
}

}  // namespace pal
