#include "experiments/comparison/sweep_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "experiments/comparison/run_measures.h"
#include "experiments/report/evaluation_report.h"
#include "experiments/report/run_log.h"
#include "experiments/report/text_table.h"
#include "runtime/json.h"

namespace pal {
namespace {

/// Numbers of summary.json that have columns.
constexpr const char* kTraining[] = {"train_seconds", "train_images_per_s"};
constexpr const char* kResults[] = {"images", "acc1",         "ce",  "entropy",
                                    "loss_x", "bits_per_dim", "ece", "mce"};

std::string beta_text(const RunRecord& run) {
  return run.beta ? fmt::format("{:g}", *run.beta) : std::string();
}

std::string number_text(const std::optional<double>& number) {
  return number ? fmt::format("{}", *number) : std::string();
}

std::string value_text(const std::optional<RunNumber>& reading) {
  return reading ? number_text(reading->value) : std::string();
}

/// Name and value of each column.
using Fields = std::vector<std::pair<std::string, std::string>>;

Fields fields_of(const RunRecord& run, const std::vector<std::string>& sets) {
  Fields fields = {{"name", csv_field(run.name)},
                   {"network", csv_field(run.arch)},
                   {"beta", beta_text(run)},
                   {"seed", std::to_string(run.seed)},
                   {"epochs", fmt::format("{}", run.epochs)},
                   {"complete", run.complete() ? "1" : "0"}};
  for (const char* const key : kTraining)
    fields.emplace_back(key, number_text(run.number(fmt::format("/{}", key))));
  fields.emplace_back("device", csv_field(run.device));
  fields.emplace_back("processor", csv_field(run.processor));
  fields.emplace_back("threads", run.threads > 0 ? std::to_string(run.threads) : std::string());
  fields.emplace_back("precision", run.precision);
  for (const char* const key : kResults)
    fields.emplace_back(key, number_text(run.number(fmt::format("/{}", key))));
  for (const double threshold : kConfidenceThresholds)
    fields.emplace_back(fmt::format("oce_{}", threshold),
                        value_text(overconfidence_at(threshold)(run)));
  for (const std::string& set : sets) {
    for (const char* const test : {kOneTailed, kTypicality, kQuantile})
      fields.emplace_back(csv_field(fmt::format("auc_{}_{}", set, test)),
                          value_text(auc_of(set, test)(run)));
    fields.emplace_back(csv_field(fmt::format("auc_{}_familiarity", set)),
                        value_text(familiarity_auc(set)(run)));
  }
  return fields;
}

}  // namespace

std::vector<std::string> foreign_sets(const std::vector<RunRecord>& runs) {
  std::vector<std::string> names;
  for (const RunRecord& run : runs) {
    const auto sets = run.summary->find("ood");
    if (sets == run.summary->end() || !sets->is_array()) continue;
    for (const auto& set : *sets) {
      if (!set.is_object() || !set.contains("set") || !set.at("set").is_string()) continue;
      const auto name = set.at("set").get<std::string>();
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
  }
  return names;
}

std::string runs_csv(const std::vector<RunRecord>& runs) {
  const std::vector<std::string> sets = foreign_sets(runs);
  std::string csv;
  for (const RunRecord& run : runs) {
    std::vector<std::string> names, values;
    for (const auto& [name, value] : fields_of(run, sets)) {
      names.push_back(name);
      values.push_back(value);
    }
    if (csv.empty()) csv = fmt::format("{}\n", fmt::join(names, ","));
    csv += fmt::format("{}\n", fmt::join(values, ","));
  }
  return csv;
}

std::string runs_json(const std::vector<RunRecord>& runs) {
  auto list = nlohmann::ordered_json::array();
  for (const RunRecord& run : runs) {
    nlohmann::ordered_json beta;
    if (run.beta)
      beta =
          std::isinf(*run.beta) ? nlohmann::ordered_json("inf") : nlohmann::ordered_json(*run.beta);
    list.push_back({{"name", run.name},
                    {"network", run.arch},
                    {"beta", beta},
                    {"seed", run.seed},
                    {"epochs", run.epochs},
                    {"dataset", run.dataset},
                    {"complete", run.complete()},
                    {"device", run.device},
                    {"processor", run.processor},
                    {"threads", run.threads},
                    {"precision", run.precision},
                    {"results", *run.summary}});
  }
  return json_text(list, 1, BadUtf8::replaced) + "\n";
}

std::string runs_text(const std::vector<RunRecord>& runs) {
  TextTable table(
      {"run", "beta", "seed", "epochs", "seconds", "images/s", "top-1 %", "CE", "bits/dim", ""});
  for (const RunRecord& run : runs) {
    const auto text = [&](const char* pointer, double factor, int digits) {
      const auto number = run.number(pointer);
      return number ? fmt::format("{:.{}f}", factor * *number, digits) : std::string("-");
    };
    const char* const remark = !run.complete()    ? "not complete"
                               : !run.evaluated() ? "not evaluated"
                                                  : "";
    table.add({run.name, run.flow ? beta_text(run) : "-", std::to_string(run.seed),
               fmt::format("{:g}", run.epochs), text("/train_seconds", 1.0, 0),
               text("/train_images_per_s", 1.0, 0), text("/acc1", 100.0, 2), text("/ce", 1.0, 4),
               text("/bits_per_dim", 1.0, 4), remark});
  }
  return table.text();
}

}  // namespace pal
