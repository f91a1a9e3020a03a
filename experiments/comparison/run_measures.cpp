#include "experiments/comparison/run_measures.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>

#include "experiments/comparison/run_figures.h"
#include "experiments/report/evaluation_report.h"

namespace pal {
namespace {

/// The object of a list in summary.json whose `key` is `value`; null if there is none.
template <typename Value>
const nlohmann::json* entry_of(const nlohmann::json& object, const char* list, const char* key,
                               const Value& value) {
  const auto found = object.find(list);
  if (found == object.end() || !found->is_array()) return nullptr;
  for (const auto& entry : *found)
    if (entry.is_object() && entry.contains(key) && entry.at(key) == value) return &entry;
  return nullptr;
}

std::optional<double> number_of(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

}  // namespace

Measure number_at(const std::string& pointer, const std::string& error_pointer) {
  return [=](const RunRecord& run) -> std::optional<RunNumber> {
    const auto number = run.number(pointer);
    if (!number) return std::nullopt;
    return RunNumber{*number,
                     error_pointer.empty() ? std::optional<double>() : run.number(error_pointer)};
  };
}

std::optional<RunNumber> accuracy_of(const RunRecord& run) {
  const auto share = run.number("/acc1"), images = run.number("/images");
  if (!share || !images || !(*images > 0.0)) return std::nullopt;
  return RunNumber{*share, std::sqrt(*share * (1.0 - *share) / *images)};
}

Measure overconfidence_at(double threshold) {
  return [=](const RunRecord& run) -> std::optional<RunNumber> {
    const auto* const entry = entry_of(*run.summary, "oce", "threshold", threshold);
    if (entry == nullptr || !entry->contains("sufficient") || entry->at("sufficient") != true)
      return std::nullopt;
    const auto value = number_of(*entry, "value"), confident = number_of(*entry, "confident"),
               errors = number_of(*entry, "errors");
    if (!value) return std::nullopt;
    RunNumber reading{*value, std::nullopt};
    if (confident && errors && *confident > 0.0) {
      const double share = (*errors + 1.0) / (*confident + 2.0);
      reading.error = std::sqrt(share * (1.0 - share) / *confident) / (1.0 - threshold);
    }
    return reading;
  };
}

double common_oce_threshold(const std::vector<const RunRecord*>& runs) {
  const auto is_enough = [&](double threshold) {
    const Measure oce = overconfidence_at(threshold);
    return std::ranges::all_of(
        runs, [&](const RunRecord* run) { return run->beta == 0.0 || oce(*run).has_value(); });
  };
  const auto* const found = std::ranges::find_if(kConfidenceThresholds, is_enough);
  return found == std::end(kConfidenceThresholds) ? kOceThreshold : *found;
}

Measure auc_of(const std::string& set, const std::string& test) {
  return [=](const RunRecord& run) -> std::optional<RunNumber> {
    const auto* const ood = entry_of(*run.summary, "ood", "set", set);
    const auto* const entry = ood == nullptr ? nullptr : entry_of(*ood, "tests", "test", test);
    const auto value = entry == nullptr ? std::nullopt : number_of(*entry, "auc");
    if (!value) return std::nullopt;
    return RunNumber{*value, number_of(*entry, "auc_standard_error")};
  };
}

Measure familiarity_auc(const std::string& set) {
  return [=](const RunRecord& run) -> std::optional<RunNumber> {
    const auto* const ood = entry_of(*run.summary, "ood", "set", set);
    const auto value = ood == nullptr ? std::nullopt : number_of(*ood, "auc_familiarity");
    if (!value) return std::nullopt;
    return RunNumber{*value, std::nullopt};
  };
}

Measure difference(const Measure& a, const Measure& b) {
  return [=](const RunRecord& run) -> std::optional<RunNumber> {
    const auto x = a(run), y = b(run);
    if (!x || !y) return std::nullopt;
    RunNumber reading{x->value - y->value, std::nullopt};
    if (x->error && y->error) reading.error = std::hypot(*x->error, *y->error);
    return reading;
  };
}

std::optional<RunNumber> familiarity_gain(const RunRecord& run) {
  const auto sets = run.summary->find("ood");
  if (sets == run.summary->end() || !sets->is_array()) return std::nullopt;
  double sum = 0.0;
  int64_t count = 0;
  for (const auto& set : *sets) {
    if (!set.is_object()) continue;
    const auto familiarity = number_of(set, "auc_familiarity");
    const auto* const test = entry_of(set, "tests", "test", kQuantile);
    const auto quantile = test == nullptr ? std::nullopt : number_of(*test, "auc");
    if (!familiarity || !quantile) continue;
    sum += *familiarity - *quantile;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return RunNumber{sum / static_cast<double>(count), std::nullopt};
}

Measure of_dct(double DctNumbers::*number) {
  return [=](const RunRecord& run) -> std::optional<RunNumber> {
    const auto numbers = dct_numbers(run);
    if (!numbers) return std::nullopt;
    return RunNumber{(*numbers).*number, std::nullopt};
  };
}

std::optional<RunNumber> field_width(const RunRecord& run) {
  const auto numbers = field_numbers(run);
  if (!numbers) return std::nullopt;
  return RunNumber{numbers->width, std::nullopt};
}

std::optional<RunNumber> width_in_strides(const RunRecord& run) {
  const auto field = field_numbers(run);
  const auto dct = dct_numbers(run);
  if (!field || !dct) return std::nullopt;
  const double stride = static_cast<double>(field->side) / static_cast<double>(dct->side);
  return RunNumber{field->width / stride, std::nullopt};
}

std::optional<RunNumber> plane_share(const RunRecord& run) {
  const auto plane = plane_accuracy(run);
  const auto own = run.number("/noise_free/acc1");
  if (!plane || !own || !(*own > 0.0)) return std::nullopt;
  return RunNumber{plane->value / *own, *plane->error / *own};
}

std::optional<RunNumber> clothes_ratio(const RunRecord& run) {
  const auto ratio = distance_ratio(run, {"T-shirt", "pullover", "dress", "coat", "shirt"},
                                    {"sandal", "sneaker", "ankle boot", "bag"});
  if (!ratio) return std::nullopt;
  return RunNumber{*ratio, std::nullopt};
}

}  // namespace pal
