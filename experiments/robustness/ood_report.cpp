#include "experiments/robustness/ood_report.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "experiments/report/text_table.h"
#include "experiments/robustness/ood_suite.h"
#include "runtime/json.h"
#include "runtime/text.h"

namespace pal {
namespace {

using Json = nlohmann::ordered_json;
using Row = ForeignSet::Row;

std::string percent(double share) {
  return std::isfinite(share) ? fmt::format("{:.2f}", 100.0 * share) : "-";
}

/// Calls visit(label, group, images, rows) for each set, and for each group that has any.
template <typename Visit>
void visit_lines(const OodComparison& comparison, Visit&& visit) {
  for (const ForeignSet& set : comparison.sets)
    visit(set.scored.label, set.scored.group, set.scored.count(), set.rows);
  for (const std::string& group : suite_groups()) {
    const std::vector<Row> rows = mean_rows(comparison, group);
    int64_t images = 0;
    for (const ForeignSet& set : comparison.sets)
      if (set.scored.group == group) images += set.scored.count();
    if (!rows.empty()) visit("mean of " + group, group, images, rows);
  }
}

std::string beta_text(const OodComparison& comparison) {
  if (!comparison.has_density) return "classifies only";
  return comparison.beta ? fmt::format("beta {:g}", *comparison.beta) : "beta unknown";
}

std::string headline_table(const OodComparison& comparison) {
  TextTable table({"set", "images", "AUC %", "+-", "AUPR foreign", "AUPR familiar",
                   "FPR95 foreign+", "FPR95 familiar+", "AUC % training"});
  visit_lines(comparison, [&](const std::string& label, const std::string&, int64_t images,
                              const std::vector<Row>& rows) {
    const Detection& test = rows[0].against_test;
    table.add({label, std::to_string(images), percent(test.auc), percent(test.error),
               percent(test.aupr_foreign), percent(test.aupr_familiar), percent(test.fpr95_foreign),
               percent(test.fpr95_familiar), percent(rows[0].against_training.auc)});
  });
  return table.text();
}

std::string score_table(const OodComparison& comparison) {
  std::vector<std::string> header = {"AUC %"};
  for (const ForeignScore score : comparison.scores) header.emplace_back(name_of(score));
  TextTable table(header);
  visit_lines(comparison, [&](const std::string& label, const std::string&, int64_t,
                              const std::vector<Row>& rows) {
    std::vector<std::string> line = {label};
    for (const Row& row : rows) line.push_back(percent(row.against_test.auc));
    table.add(std::move(line));
  });
  return table.text();
}

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json to_object(const Detection& d) {
  return {{"auc", d.auc},
          {"auc_standard_error", number(d.error)},
          {"aupr_foreign", d.aupr_foreign},
          {"aupr_familiar", d.aupr_familiar},
          {"ap_foreign", d.ap_foreign},
          {"ap_familiar", d.ap_familiar},
          {"fpr95_foreign_positive", d.fpr95_foreign},
          {"fpr95_familiar_positive", d.fpr95_familiar}};
}

}  // namespace

std::string to_text(const OodComparison& c) {
  const char* const headline = name_of(c.scores[0]);
  return fmt::format(
      "{} ({}): {} {} images of {}{} against foreign ones; the tests know {} of its training "
      "images\n\n"
      "{}, % (foreign+, familiar+: which is the positive; AUC of chance 50)\n{}\n\n"
      "all scores, against the {} images\n{}",
      c.checkpoint, beta_text(c), c.test.count(), c.part, c.dataset, remark_of(c.chose),
      c.training.count(), headline, headline_table(c), c.part, score_table(c));
}

std::string to_json(const OodComparison& c) {
  Json scores = Json::array(), sets = Json::array(), groups = Json::array();
  for (const ForeignScore score : c.scores) scores.push_back(name_of(score));
  const auto by_score = [&](const std::vector<Row>& rows) {
    Json all = Json::object();
    for (size_t k = 0; k < rows.size(); ++k)
      all[name_of(c.scores[k])] = {{"against_test", to_object(rows[k].against_test)},
                                   {"against_training", to_object(rows[k].against_training)}};
    return all;
  };
  for (const ForeignSet& set : c.sets) {
    Json entry = {{"set", set.scored.name}, {"images", set.scored.count()}};
    if (!set.scored.group.empty()) entry["group"] = set.scored.group;
    entry["scores"] = by_score(set.rows);
    sets.push_back(std::move(entry));
  }
  for (const std::string& group : suite_groups())
    if (const auto rows = mean_rows(c, group); !rows.empty())
      groups.push_back({{"group", group}, {"mean", by_score(rows)}});
  Json all = {{"checkpoint", c.checkpoint},
              {"dataset", c.dataset},
              {"part", c.part},
              {"images", c.test.count()},
              {"reference", c.training.count()}};
  if (c.beta && c.has_density) all["beta"] = std::isinf(*c.beta) ? Json("inf") : Json(*c.beta);
  all["scores"] = std::move(scores);
  all["sets"] = std::move(sets);
  if (!groups.empty()) all["groups"] = std::move(groups);
  return json_text(all, -1, BadUtf8::replaced);
}

std::string detection_csv(const OodComparison& c) {
  std::string text =
      "set,group,images,score,negatives,negative_images,auc,auc_error,aupr_foreign,aupr_familiar,"
      "ap_foreign,ap_familiar,fpr95_foreign_positive,fpr95_familiar_positive\n";
  visit_lines(c, [&](const std::string& label, const std::string& group, int64_t images,
                     const std::vector<Row>& rows) {
    for (size_t k = 0; k < rows.size(); ++k)
      for (const bool test : {true, false}) {
        const Detection& d = test ? rows[k].against_test : rows[k].against_training;
        const ScoredSet& negatives = test ? c.test : c.training;
        fmt::format_to(std::back_inserter(text), "{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n",
                       csv_field(label), group, images, name_of(c.scores[k]), negatives.label,
                       negatives.count(), d.auc,
                       std::isfinite(d.error) ? fmt::format("{}", d.error) : "", d.aupr_foreign,
                       d.aupr_familiar, d.ap_foreign, d.ap_familiar, d.fpr95_foreign,
                       d.fpr95_familiar);
      }
  });
  return text;
}

std::string scores_csv(const OodComparison& c) {
  std::string text = "set,index,name";
  for (const ForeignScore score : c.scores) text += fmt::format(",{}", name_of(score));
  text += '\n';
  const auto add = [&](const ScoredSet& set) {
    const std::string label = csv_field(set.label);
    for (size_t i = 0; i < set.images.size(); ++i) {
      fmt::format_to(std::back_inserter(text), "{},{},{}", label, set.images[i].index,
                     csv_field(set.image_names[i]));
      for (const std::vector<double>& values : set.values)
        fmt::format_to(std::back_inserter(text), ",{}", values[i]);
      text += '\n';
    }
  };
  add(c.test);
  add(c.training);
  for (const ForeignSet& set : c.sets) add(set.scored);
  return text;
}

}  // namespace pal
