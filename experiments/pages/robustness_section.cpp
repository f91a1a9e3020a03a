#include "experiments/pages/robustness_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "data/corruptions/corruption.h"
#include "data/pictures/picture_sheet.h"
#include "experiments/comparison/robustness_record.h"
#include "experiments/measures/sampling.h"
#include "experiments/pages/page_table.h"
#include "experiments/pages/run_sections.h"
#include "experiments/report/chart.h"
#include "experiments/sampling/test_images.h"
#include "runtime/json.h"

namespace pal {
namespace {

constexpr int64_t kWorstPixels = 96;  // of a picture on the sheet
/// Kinds of corruption that are shown in pictures: those with most errors.
constexpr size_t kShownKinds = 3;

std::string percent(const nlohmann::json& share) {
  return share.is_number() ? fmt::format("{:.1f}", 100.0 * share.get<double>()) : std::string("-");
}

/// The share of an AUC with its error.
std::string auc_text(const nlohmann::json& auc) {
  if (!auc.is_object()) return "-";
  return fmt::format("{:.1f} \u00b1 {:.1f}", 100.0 * auc.at("value").get<double>(),
                     100.0 * auc.at("standard_error").get<double>());
}

/// False of a model that was trained at beta 0, whose errors mean nothing.
bool names_classes(const nlohmann::json& model) { return model.value("names_classes", true); }

PageTable table_of(const nlohmann::json& model) {
  const bool named = names_classes(model);
  PageTable table;
  table.header = {"corruption"};
  for (const auto& severity : model.at("corruptions").at(0).at("severities"))
    table.header.push_back(fmt::format("error % at {}", severity.at("severity").get<int>()));
  for (const char* const name :
       {"mean error %", "told by density, AUC %", "told by entropy, AUC %"})
    table.header.emplace_back(name);
  for (const auto& each : model.at("corruptions")) {
    std::vector<std::string> row = {each.at("corruption").get<std::string>()};
    for (const auto& severity : each.at("severities"))
      row.push_back(named ? percent(severity.at("error")) : "-");
    row.push_back(named ? percent(each.at("mean_error")) : "-");
    row.push_back(auc_text(each.at("auc")));
    row.push_back(named ? auc_text(each.at("auc_entropy")) : "-");
    table.rows.push_back(std::move(row));
  }
  table.rows.push_back({fmt::format("mean of {}", model.at("corruptions_counted").get<int64_t>())});
  std::vector<std::string>& means = table.rows.back();
  while (means.size() + 3 < table.header.size()) means.emplace_back();
  means.push_back(named ? percent(model.at("mean_error")) : "-");
  means.push_back(percent(model.value("mean_auc", nlohmann::json())));
  means.push_back(named ? percent(model.value("mean_auc_entropy", nlohmann::json())) : "-");
  table.caption = fmt::format(
      "{} images; {} % are wrong on clean ones. Told by density: how well corrupted images are "
      "told "
      "from training images by how likely they are; by entropy: from clean ones by how undecided "
      "the model is. 50 is guessing.",
      model.at("images").get<int64_t>(), named ? percent(model.at("clean_error")) : "-");
  return table;
}

/// Mean error over the kinds at each severity, from the clean images on.
std::string severity_chart(const nlohmann::json& model) {
  Chart chart;
  chart.title = "Wrong answers against severity";
  chart.x_title = "severity (0: clean)";
  chart.y_title = "wrong answers, %";
  chart.width = 720;
  chart.height = 340;
  std::vector<nlohmann::json> kinds(model.at("corruptions").begin(), model.at("corruptions").end());
  std::ranges::stable_sort(kinds, std::ranges::greater(), [](const nlohmann::json& kind) {
    return kind.at("mean_error").get<double>();
  });
  constexpr size_t kLines = 6;  // the worst
  const double clean = 100.0 * model.at("clean_error").get<double>();
  for (size_t i = 0; i < std::min(kLines, kinds.size()); ++i) {
    Series line{.name = kinds[i].at("corruption").get<std::string>(), .x = {0.0}, .y = {clean}};
    for (const auto& each : kinds[i].at("severities")) {
      line.x.push_back(each.at("severity").get<double>());
      line.y.push_back(100.0 * each.at("error").get<double>());
    }
    chart.series.push_back(std::move(line));
  }
  return chart.svg();
}

/// The kinds with most errors, in the first test image and at each severity.
Image worst_picture(const nlohmann::json& model, const ShownModel& shown) {
  std::vector<std::pair<double, std::string>> kinds;
  for (const auto& each : model.at("corruptions"))
    kinds.emplace_back(-each.at("mean_error").get<double>(),
                       each.at("corruption").get<std::string>());
  std::ranges::sort(kinds);
  const TestImages from = open_test_images(shown.data, shown.checkpoint, shown.loaded);
  const int64_t index = from.indices.empty() ? 0 : from.indices[0];
  const Image clean =
      to_pictures(network_images(*from.set, shown.loaded.input, {index}, from.transform),
                  shown.loaded.input)[0];
  const int64_t scale = std::max<int64_t>(1, kWorstPixels / std::max(clean.width, clean.height));
  PictureSheet sheet;
  sheet.scale = scale;
  for (size_t k = 0; k < std::min(kShownKinds, kinds.size()); ++k) {
    SheetRow row{kinds[k].second, {"clean"}, {clean}};
    for (int severity = 1; severity <= kSeverities; ++severity) {
      row.pictures.push_back(
          corrupted(clean, *corruption_of(kinds[k].second), severity, {},
                    path_in_set(from.set->info().name, from.set->item_name(index))));
      row.captions.push_back(fmt::format("severity {}", severity));
    }
    sheet.rows.push_back(std::move(row));
  }
  return sheet_image(sheet);
}

}  // namespace

std::optional<HtmlSection> robustness_section(const RunRecord& run, const ShownModel& model) {
  const nlohmann::json record = robustness_record(run);
  if (record.is_null()) return std::nullopt;
  std::string body;
  if (names_classes(record))
    body = html_drawing(severity_chart(record), "Share of wrong answers over the severity",
                        "The kinds of corruption with most errors.");
  body += table_of(record).html();
  if (names_classes(record))
    body += html_picture(worst_picture(record, model),
                         "An image under the kinds of corruption with most errors",
                         "The kinds with most errors, as they look on one image.");
  return HtmlSection{"robustness", "Does it hold when images get worse?",
                     "A good model errs little more on corrupted images, and where it errs, its "
                     "density or its entropy says that something is wrong.",
                     body};
}

std::optional<HtmlSection> robustness_comparison(const std::vector<RunRecord>& runs) {
  const auto labels = run_labels(runs);
  std::vector<std::pair<std::string, nlohmann::json>> records;
  for (size_t i = 0; i < runs.size(); ++i)
    if (nlohmann::json record = robustness_record(runs[i]); !record.is_null())
      records.emplace_back(labels[i], std::move(record));
  if (records.size() < 2) return std::nullopt;
  PageTable table;
  table.header = {"network",
                  "images",
                  "clean error %",
                  "mean error %",
                  "mCE %",
                  "told by density, AUC %",
                  "told by entropy, AUC %"};
  for (const auto& [label, record] : records) {
    const nlohmann::json& model = record;
    const auto text_of = [&](const char* key, bool of_classes) {
      return of_classes && !names_classes(model) ? std::string("-")
                                                 : percent(model.value(key, nlohmann::json()));
    };
    table.rows.push_back({label, std::to_string(model.at("images").get<int64_t>()),
                          text_of("clean_error", true), text_of("mean_error", true),
                          text_of("mce", true), text_of("mean_auc", false),
                          text_of("mean_auc_entropy", true)});
  }
  table.caption =
      "Means over the kinds of corruption that pal-robustness looked at. Told: how well corrupted "
      "images are told from others; 50 is guessing.";
  return HtmlSection{"robustness", "When images get worse",
                     "Fewer errors on corrupted images are better, and so is noticing them.",
                     table.html()};
}

}  // namespace pal
