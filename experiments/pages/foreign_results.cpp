#include "experiments/pages/foreign_results.h"

#include "runtime/json.h"

namespace pal {
namespace {

std::optional<double> share_at(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

ForeignResult recorded(const nlohmann::json& entry) {
  ForeignResult result{entry.at("set").get<std::string>(), {}, share_at(entry, "auc_familiarity")};
  const auto tests = entry.find("tests");
  if (tests == entry.end() || !tests->is_array()) return result;
  for (const auto& test : *tests)
    if (test.is_object() && value_or(test, "test", std::string()) == name_of(OodTest::quantile))
      result.density = share_at(test, "auc");
  return result;
}

}  // namespace

std::vector<ForeignResult> foreign_results(const CheckpointReport& report, const RunRecord& run) {
  std::vector<ForeignResult> results;
  for (const OodReport& foreign : report.ood)
    results.push_back(
        {foreign.set, foreign.row(OodTest::quantile).against_clean, foreign.familiarity});
  if (!results.empty()) return results;
  const auto kept = run.summary->find("ood");
  if (kept == run.summary->end() || !kept->is_array()) return results;
  for (const auto& entry : *kept)
    if (entry.is_object() && entry.contains("set") && entry.at("set").is_string())
      results.push_back(recorded(entry));
  return results;
}

}  // namespace pal
