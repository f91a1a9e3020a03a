#include "experiments/pages/foreign_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <string_view>
#include <utility>

#include "experiments/comparison/csv_rows.h"
#include "experiments/pages/page_table.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/paths.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

std::string read_text(const std::string& path) {
  constexpr int64_t kMostBytes = 1 << 22;
  const std::vector<uint8_t> bytes = read_file(path, kMostBytes);
  return {bytes.begin(), bytes.end()};
}

/// AUC by set and score against the evaluated images, in percent; sets and scores in their first order.
struct Detections {
  std::vector<std::string> sets, scores;
  std::vector<std::vector<std::string>> auc;  // [set][score]
};

template <typename Value>
size_t place_of(std::vector<Value>& list, const Value& value) {
  const auto found = std::ranges::find(list, value);
  if (found != list.end()) return static_cast<size_t>(found - list.begin());
  list.push_back(value);
  return list.size() - 1;
}

Detections read_detections(const std::string& path) {
  const CsvRows rows = csv_rows(read_text(path));
  const auto broken = [&] {
    fail(ErrorKind::data, "{}: not what pal-ood writes; make it anew", path);
  };
  if (rows.empty()) broken();
  const auto column = [&](const char* name) {
    const auto found = std::ranges::find(rows[0], name);
    if (found == rows[0].end()) broken();
    return static_cast<size_t>(found - rows[0].begin());
  };
  const size_t set = column("set"), score = column("score"), negatives = column("negatives"),
               auc = column("auc");
  Detections found;
  for (size_t i = 1; i < rows.size(); ++i) {
    const auto& row = rows[i];
    if (row.size() != rows[0].size()) broken();
    if (row[negatives] == "training") continue;
    double share = 0.0;
    const auto read = std::from_chars(row[auc].data(), row[auc].data() + row[auc].size(), share);
    if (read.ec != std::errc()) broken();
    const size_t s = place_of(found.sets, row[set]), k = place_of(found.scores, row[score]);
    found.auc.resize(found.sets.size());
    for (auto& each : found.auc) each.resize(found.scores.size(), "-");
    found.auc[s][k] = fmt::format("{:.1f}", 100.0 * share);
  }
  if (found.sets.empty()) broken();
  return found;
}

}  // namespace

std::optional<HtmlSection> foreign_section(const RunRecord& run) {
  const fs::path folder = fs::path(run.path) / "foreign";
  const std::string file = (folder / "detection.csv").string();
  if (!path_exists(file)) return std::nullopt;
  const Detections found = read_detections(file);
  PageTable table;
  table.header = {"AUC %"};
  table.header.insert(table.header.end(), found.scores.begin(), found.scores.end());
  for (size_t s = 0; s < found.sets.size(); ++s) {
    std::vector<std::string> row = {found.sets[s]};
    row.insert(row.end(), found.auc[s].begin(), found.auc[s].end());
    table.rows.push_back(std::move(row));
  }
  table.caption =
      "By pal-ood, against images that it did not learn from: of pairs of a foreign image and one "
      "of its own, how many "
      "each "
      "score tells right; 50 is guessing. quantile, one-tailed, typicality: tests of the density; "
      "complexity: density against how well a PNG packs the image; latent: distance from the "
      "class; "
      "states: several densities together; entropy, max-posterior: how undecided it is; "
      "familiarity: "
      "what pal-classify says.";
  std::vector<std::string> curves;
  for (const auto& entry : folder_entries(folder))
    if (const std::string name = entry.path().filename().string();
        name.starts_with("roc_") && name.ends_with(".svg"))
      curves.push_back(entry.path().string());
  std::ranges::sort(curves, {}, [](const std::string& path) {
    const std::string name = fs::path(path).filename().string();
    int number = 0;
    std::from_chars(name.data() + std::string_view("roc_").size(), name.data() + name.size(),
                    number);
    return std::pair(number, name);
  });
  std::string figures;
  for (const std::string& curve : curves)
    figures += html_drawing(read_text(curve),
                            fmt::format("ROC curves of {}", fs::path(curve).stem().string()));
  return HtmlSection{
      "foreign", "Foreign images, by every score",
      "The further a curve bends to the upper left, the better its score tells foreign "
      "images from its own; on the diagonal it guesses.",
      table.html() + (figures.empty() ? std::string() : html_grid(figures, true))};
}

}  // namespace pal
