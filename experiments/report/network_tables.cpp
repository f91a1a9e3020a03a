#include "experiments/report/network_tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <optional>

#include "experiments/planning/network_levels.h"
#include "experiments/report/published.h"
#include "experiments/report/text_table.h"
#include "runtime/file.h"

namespace pal {
namespace {

using TableRows = std::vector<std::vector<std::string>>;

const char* family_name(const ModelSummary& model) {
  return model.config.family == ModelFamily::flow ? "flow" : "resnet";
}

std::string aligned(const TableRows& rows) {
  TextTable table(rows.front());
  for (size_t i = 1; i < rows.size(); ++i) table.add(rows[i]);
  return table.text();
}

std::string comma_separated(const TableRows& rows) {
  std::string csv;
  for (const auto& row : rows) csv += fmt::format("{}\n", fmt::join(row, ","));
  return csv;
}

/// As the paper prints it: "55.4 M", "9.08 G".
std::string printed(double number) {
  return number < 1e9 ? fmt::format("{:.1f} M", number / 1e6)
                      : fmt::format("{:.2f} G", number / 1e9);
}

/// One number of a network, ours and the paper's.
struct TotalRow {
  const char* what;
  const char* key;  ///< in CSV
  int64_t (*ours)(const ModelSummary&);
  std::optional<double> PublishedNetwork::*published = nullptr;
  bool of_mixing = false;  ///< says nothing about a ResNet
};

const TotalRow kTotals[] = {
    {"network parameters", "parameters_network",
     [](const ModelSummary& m) { return m.parameters_network; },
     &PublishedNetwork::parameters_network},
    {"head parameters", "parameters_head",
     [](const ModelSummary& m) { return m.parameters_head(); }},
    {"all parameters", "parameters_total", [](const ModelSummary& m) { return m.parameters_total; },
     &PublishedNetwork::parameters_total},
    {"multiply-adds", "multiply_adds", [](const ModelSummary& m) { return m.multiply_adds; },
     &PublishedNetwork::multiply_adds},
    {"dense channel mixing", "multiply_adds_dense_mixing",
     [](const ModelSummary& m) { return m.multiply_adds_dense_mixing; }, nullptr, true},
    {"multiply-adds with dense mixing", "multiply_adds_with_dense_mixing",
     [](const ModelSummary& m) { return m.multiply_adds_with_dense_mixing(); },
     &PublishedNetwork::multiply_adds_with_dense_mixing, true}};

}  // namespace

NetworkTables::Rows NetworkTables::levels(Form form) const {
  const bool csv = form == Form::csv;
  const std::string none = csv ? "" : "-";
  Rows rows = {{csv ? "level" : "levels"}};
  for (const ModelSummary& model : models_) {
    const std::string arch = model.config.arch;
    const PublishedNetwork* const paper = published_ ? published_network(model.config) : nullptr;
    if (csv) {
      const char* const family = family_name(model);
      for (const char* column : {"size", "channels", "blocks", "receptive_field"})
        rows[0].push_back(fmt::format("{}_{}", family, column));
      if (paper != nullptr) rows[0].push_back(fmt::format("{}_receptive_field_published", family));
    } else {
      rows[0].insert(rows[0].end(), {arch, "channels", "blocks", "receptive field - 1"});
      if (paper != nullptr) rows[0].emplace_back("paper");
    }
    const std::vector<NetworkLevel> levels = network_levels(model);
    for (size_t i = 0; i < levels.size(); ++i) {
      const NetworkLevel& level = levels[i];
      if (rows.size() <= i + 1) rows.push_back({level.name});
      const bool has_blocks = i > 0 && i + 1 < levels.size();
      const std::string field = i == 0                  ? none
                                : level.receptive_field ? std::to_string(*level.receptive_field - 1)
                                                        : "all";
      rows[i + 1].insert(rows[i + 1].end(),
                         {std::to_string(level.size), std::to_string(level.channels),
                          has_blocks ? std::to_string(level.blocks) : none, field});
      if (paper == nullptr) continue;
      const auto published = paper->receptive_fields.at(i);
      rows[i + 1].push_back(published ? std::to_string(*published) : field);
    }
  }
  return rows;
}

NetworkTables::Rows NetworkTables::totals(Form form) const {
  const bool csv = form == Form::csv;
  Rows rows = {{csv ? "total" : "totals for one image"}};
  for (const TotalRow& total : kTotals) rows.push_back({csv ? total.key : total.what});
  for (const ModelSummary& model : models_) {
    const PublishedNetwork* const paper = published_ ? published_network(model.config) : nullptr;
    rows[0].push_back(csv ? family_name(model) : model.config.arch);
    if (paper != nullptr)
      rows[0].push_back(csv ? fmt::format("{}_published", family_name(model)) : "paper");
    for (size_t i = 0; i < std::size(kTotals); ++i) {
      const TotalRow& total = kTotals[i];
      std::vector<std::string>& row = rows[i + 1];
      const bool said = !total.of_mixing || model.config.family == ModelFamily::flow;
      const int64_t ours = total.ours(model);
      row.push_back(!said ? "" : csv ? std::to_string(ours) : grouped(ours));
      if (paper == nullptr) continue;
      const auto published = total.published ? paper->*total.published : std::nullopt;
      row.push_back(!published ? ""
                    : csv      ? fmt::format("{:.0f}", *published)
                               : printed(*published));
    }
  }
  return rows;
}

std::string NetworkTables::levels_text() const { return aligned(levels(Form::text)); }

std::string NetworkTables::totals_text() const {
  Rows rows = totals(Form::text);
  std::erase_if(rows, [](const auto& row) {
    return std::all_of(row.begin() + 1, row.end(), [](const auto& cell) { return cell.empty(); });
  });
  return aligned(rows);
}

void NetworkTables::write(const std::string& folder) const {
  make_folders(folder);
  const std::filesystem::path place(folder);
  write_atomic((place / "table1.csv").string(), comma_separated(levels(Form::csv)));
  write_atomic((place / "table5.csv").string(), comma_separated(totals(Form::csv)));
}

}  // namespace pal
