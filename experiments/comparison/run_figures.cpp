#include "experiments/comparison/run_figures.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>

#include "experiments/comparison/csv_rows.h"
#include "experiments/explain/receptive_field.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/paths.h"
#include "runtime/text.h"

namespace pal {
namespace {

/// A CSV file with a known header.
class CsvFile {
 public:
  CsvFile(std::string path, const std::vector<std::string>& header) : path_(std::move(path)) {
    constexpr int64_t kMost = int64_t{1} << 24;
    const auto bytes = read_file(path_, kMost);
    rows_ = csv_rows(std::string(bytes.begin(), bytes.end()));
    if (rows_.size() < 2 || rows_[0] != header)
      fail(ErrorKind::data, "{}: not what pal-explain writes: other columns, or no rows", path_);
    rows_.erase(rows_.begin());
    for (const auto& row : rows_)
      if (row.size() != header.size())
        fail(ErrorKind::data, "{}: a row of {} columns, expected {}", path_, row.size(),
             header.size());
  }

  const CsvRows& rows() const { return rows_; }
  double number(const std::string& field) const {
    double value = 0.0;
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (error != std::errc() || end != field.data() + field.size() || !std::isfinite(value))
      fail(ErrorKind::data, "{}: expected a number, got {}", path_, one_line(field));
    return value;
  }
  /// Values of a square map whose rows begin with the two coordinates.
  std::vector<double> square(int64_t& side) const {
    side = std::llround(std::sqrt(static_cast<double>(rows_.size())));
    std::vector<double> values;
    for (const auto& row : rows_) {
      const auto at = static_cast<double>(values.size());
      const auto n = static_cast<double>(side);
      if (number(row[0]) != std::floor(at / n) || number(row[1]) != std::fmod(at, n)) break;
      values.push_back(number(row[2]));
    }
    if (values.size() != rows_.size() || side * side != static_cast<int64_t>(rows_.size()))
      fail(ErrorKind::data, "{}: its rows are no square map", path_);
    return values;
  }

 private:
  std::string path_;
  CsvRows rows_;
};

std::optional<CsvFile> file_of(const RunRecord& run, const std::string& name,
                               const std::vector<std::string>& header) {
  const std::string path = (std::filesystem::path(run.path) / name).string();
  if (!path_exists(path)) return std::nullopt;
  return CsvFile(path, header);
}

std::string class_key(const std::string& name) {
  std::string key = lower_case(name);
  return key == "t-shirt/top" ? "t-shirt" : key;
}

}  // namespace

std::optional<DctNumbers> dct_numbers(const RunRecord& run) {
  const auto file = file_of(run, "dct.csv", {"vertical", "horizontal", "influence"});
  if (!file) return std::nullopt;
  DctNumbers numbers;
  const std::vector<double> influence = file->square(numbers.side);
  // By parity: sums and counts of components, by their vertical and their horizontal frequency.
  double upwards[2] = {}, across[2] = {}, count[2] = {};
  for (int64_t k = 0; k < numbers.side; ++k) {
    count[k % 2] += static_cast<double>(numbers.side);
    for (int64_t l = 0; l < numbers.side; ++l) {
      const double value = influence[static_cast<size_t>(k * numbers.side + l)];
      upwards[k % 2] += value;
      across[l % 2] += value;
    }
  }
  const double other =
      numbers.side > 1 ? *std::max_element(influence.begin() + 1, influence.end()) : 0.0;
  if (!(other > 0.0) || !(upwards[0] > 0.0) || !(across[0] > 0.0)) return std::nullopt;
  numbers.first = influence[0] / other;
  numbers.across = across[1] / count[1] / (across[0] / count[0]);
  numbers.upwards = upwards[1] / count[1] / (upwards[0] / count[0]);
  return numbers;
}

std::optional<FieldNumbers> field_numbers(const RunRecord& run) {
  const auto file = file_of(run, "receptive-field.csv", {"row", "column", "sensitivity"});
  if (!file) return std::nullopt;
  ReceptiveField field;
  field.sensitivity = file->square(field.side);
  const double width = full_width_at_half_maximum(cross_section(field));
  if (std::ranges::all_of(field.sensitivity, [](double s) { return s == 0.0; }))
    return std::nullopt;
  if (std::isnan(width)) return FieldNumbers{field.side, static_cast<double>(field.side), false};
  return FieldNumbers{field.side, width, true};
}

std::optional<RunNumber> plane_accuracy(const RunRecord& run) {
  const auto file =
      file_of(run, "plane.csv", {"image", "name", "label", "along", "up", "predicted"});
  if (!file) return std::nullopt;
  const auto right =
      std::ranges::count_if(file->rows(), [](const auto& row) { return row[2] == row[5]; });
  const auto n = static_cast<double>(file->rows().size());
  const double share = static_cast<double>(right) / n;
  return RunNumber{share, std::sqrt(share * (1.0 - share) / n)};
}

std::optional<double> distance_ratio(const RunRecord& run, const std::vector<std::string>& alike,
                                     const std::vector<std::string>& others) {
  const auto file =
      file_of(run, "similarity.csv", {"class_a", "class_b", "distance", "uncertainty"});
  if (!file) return std::nullopt;
  const auto in = [](const std::vector<std::string>& list, const std::string& name) {
    return std::ranges::any_of(
        list, [&](const std::string& each) { return class_key(each) == class_key(name); });
  };
  double within = 0.0, between = 0.0;
  size_t pairs_within = 0, pairs_between = 0;
  for (const auto& row : file->rows()) {
    const double distance = file->number(row[2]);
    if (in(alike, row[0]) && in(alike, row[1])) {
      within += distance;
      ++pairs_within;
    } else if ((in(alike, row[0]) && in(others, row[1])) ||
               (in(others, row[0]) && in(alike, row[1]))) {
      between += distance;
      ++pairs_between;
    }
  }
  if (pairs_within != alike.size() * (alike.size() - 1) / 2 ||
      pairs_between != alike.size() * others.size() || !(between > 0.0))
    return std::nullopt;
  return within / static_cast<double>(pairs_within) *
         (static_cast<double>(pairs_between) / between);
}

}  // namespace pal
