#include "experiments/report/rank_plans.h"

#include <fmt/format.h>

#include <utility>

#include "experiments/report/text_table.h"
#include "runtime/byte_count.h"
#include "runtime/json.h"

namespace pal {
namespace {

std::string milliseconds(double seconds) { return fmt::format("{:.2f}", 1e3 * seconds); }

nlohmann::ordered_json sums_json(const RankStep& step) {
  auto json = nlohmann::ordered_json::array();
  for (const PlannedSum& sum : step.sums) {
    nlohmann::ordered_json block;
    if (!sum.block.empty()) block = sum.block;
    json.push_back({{"what", sum.what},
                    {"begin", sum.begin},
                    {"end", sum.end},
                    {"bytes", sum.bytes},
                    {"complete_after", block},
                    {"ready_seconds", sum.ready},
                    {"start_seconds", sum.start},
                    {"done_seconds", sum.done}});
  }
  return json;
}

}  // namespace

RankPlans::RankPlans(std::string arch, RankWork work, int64_t batch, const ReductionSpec& reduction,
                     const Link& link, const std::vector<int64_t>& ranks)
    : arch_(std::move(arch)),
      work_(std::move(work)),
      batch_(batch),
      reduction_(reduction),
      link_(link) {
  for (const int64_t count : ranks) steps_.push_back(plan_step(work_, reduction_, link_, count));
}

double RankPlans::images_per_s(const RankStep& step) const {
  return static_cast<double>(step.ranks * batch_) / step.seconds;
}

std::string RankPlans::gain_table() const {
  TextTable table({"ranks", "bytes each sends", "", "summing, ms", "exposed, ms", "step, ms",
                   "images/s", "efficiency"});
  for (const RankStep& step : steps_)
    table.add({std::to_string(step.ranks), grouped(step.wire_bytes), format_bytes(step.wire_bytes),
               milliseconds(step.communication), milliseconds(step.exposed),
               milliseconds(step.seconds), fmt::format("{:.1f}", images_per_s(step)),
               fmt::format("{:.1f} %", 100.0 * step.efficiency)});
  return table.text();
}

std::string RankPlans::schedule_table() const {
  // When a sum is ready is the same for any number of ranks, when it is done is not.
  std::vector<std::string> header = {"sum of", "bytes", "complete after", "ready, ms"};
  std::vector<std::vector<std::string>> rows;
  for (const RankStep& step : steps_) {
    if (step.sums.empty()) continue;
    header.push_back(fmt::format("{} ranks: done, ms", step.ranks));
    rows.resize(step.sums.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      const PlannedSum& sum = step.sums[i];
      if (rows[i].empty())
        rows[i] = {sum.end == 0
                       ? sum.what
                       : fmt::format("{} {} to {}", sum.what, grouped(sum.begin), grouped(sum.end)),
                   grouped(sum.bytes), sum.block.empty() ? "all blocks" : sum.block,
                   milliseconds(sum.ready)};
      rows[i].push_back(milliseconds(sum.done));
    }
  }
  if (rows.empty()) return "One rank has nothing to sum.";
  TextTable table(header);
  for (const auto& row : rows) table.add(row);
  return table.text();
}

std::string RankPlans::text() const {
  return fmt::format(
      "{}, {} images a rank. A step of one rank: {} ms; by multiply-adds forward {}, backward {}, "
      "update {}.\nExposed is what sums take after the backward pass; efficiency: images/s "
      "relative to ranks that need not talk.\n\n{}\n\nTimes since the backward pass began, which "
      "ends at {} ms:\n\n{}",
      arch_, batch_, milliseconds(work_.seconds()), milliseconds(work_.forward),
      milliseconds(work_.backward), milliseconds(work_.update), gain_table(),
      milliseconds(work_.backward), schedule_table());
}

std::string RankPlans::json() const {
  nlohmann::ordered_json json = {{"batch", batch_},
                                 {"step_seconds", work_.seconds()},
                                 {"forward_seconds", work_.forward},
                                 {"backward_seconds", work_.backward},
                                 {"update_seconds", work_.update},
                                 {"bandwidth", link_.bandwidth},
                                 {"latency", link_.latency},
                                 {"bucket", reduction_.bucket_bytes},
                                 {"bucket_precision", reduction_.bf16 ? "bf16" : "fp32"}};
  for (const RankStep& step : steps_)
    json["plans"].push_back({{"ranks", step.ranks},
                             {"wire_bytes", step.wire_bytes},
                             {"communication_seconds", step.communication},
                             {"exposed_seconds", step.exposed},
                             {"step_seconds", step.seconds},
                             {"images_per_s", images_per_s(step)},
                             {"efficiency", step.efficiency},
                             {"sums", sums_json(step)}});
  return json_text(json, -1, BadUtf8::replaced);
}

}  // namespace pal
