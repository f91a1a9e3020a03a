#include "experiments/comparison/beta_groups.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "experiments/comparison/csv_rows.h"
#include "experiments/comparison/sweep_table.h"
#include "runtime/json.h"
#include "tests/experiments/sweep_runs.h"

namespace pal {
namespace {

using namespace testing;

TEST(BetaGroups, HaveMeansAndStandardErrorsOverSeeds) {
  std::vector<RunRecord> runs;
  add_runs(runs, 4.0, "ce", {0.5, 0.7, 0.6});
  add_runs(runs, 0.25, "ce", {0.8});
  runs.push_back(run_of(4.0, 3));
  runs.push_back(run_of(-1.0, 0, {{"ce", "nan"}}));
  const Sweep sweep = sweep_of(runs);
  ASSERT_EQ(sweep.flows.size(), 2U);
  EXPECT_EQ(sweep.flows[0].name(), "beta 0.25");
  EXPECT_EQ(sweep.feed_forward->name(), "resnet-small");
  const GroupMean many = *sweep.flows[1].mean("/ce");
  EXPECT_EQ(sweep.flows[1].runs.size(), 4U);
  EXPECT_EQ(many.runs, 3);
  EXPECT_NEAR(many.mean, 0.6, 1e-15);
  EXPECT_NEAR(*many.error, 0.1 / std::sqrt(3.0), 1e-15);
  const GroupMean one = *sweep.flows[0].mean("/ce");
  EXPECT_EQ(one.runs, 1);
  EXPECT_FALSE(one.error.has_value());
  EXPECT_FALSE(sweep.feed_forward->mean("/ce").has_value()) << "no number";
  EXPECT_FALSE(sweep.flows[0].mean("/no/such/thing").has_value());
  EXPECT_EQ(sweep.all().size(), 3U);
  EXPECT_EQ(sweep.flows_from(0.25, 0.25).size(), 1U);
}

TEST(BetaGroups, LeaveOutWhatCannotBeCompared) {
  std::vector<RunRecord> runs;
  for (const double beta : {1.0, kInfinity, 0.0}) runs.push_back(run_of(beta, 0));
  runs.push_back(run_of(1.0, 0));
  runs.push_back(run_of(1.0, 1, {{"complete", false}}));
  runs.push_back(run_of(1.0, 2, {{"chose_checkpoint", true}}));
  runs.push_back(run_of(1.0, 3));
  runs.back().epochs = 40.0;
  runs.push_back(run_of(1.0, 4));
  runs.back().arch = "ibinn-small";
  runs.push_back(run_of(-1.0, 0));
  runs.back().epochs = 40.0;
  runs.push_back(run_of(1.0, 5));
  runs.back().beta.reset();
  const Sweep sweep = sweep_of(runs);
  ASSERT_EQ(sweep.flows.size(), 3U);
  EXPECT_EQ(sweep.flows[0].beta, 0.0);
  EXPECT_EQ(sweep.flows[2].beta, kInfinity);
  EXPECT_EQ(sweep.flows[1].runs, std::vector<const RunRecord*>{&runs[0]});
  EXPECT_FALSE(sweep.feed_forward.has_value()) << "of other epochs";
  EXPECT_EQ(sweep.left_out.size(), 7U);
  EXPECT_TRUE(sweep_of({}).flows.empty());
  EXPECT_EQ(sweep_of({run_of(-1.0, 0)}).feed_forward.has_value(), true);
}

TEST(BetaGroups, NotEvaluatedRunsBelongToTheirGroup) {
  RunRecord run = run_of(1.0, 0);
  run.summary =
      std::make_shared<const nlohmann::json>(nlohmann::json{{"complete", true}, {"step", 9}});
  const std::vector<RunRecord> runs = {run};
  EXPECT_EQ(sweep_of(runs).flows.size(), 1U);
  for (const Ordering& ordering : orderings(runs))
    EXPECT_EQ(ordering.verdict, Ordering::Verdict::not_measured) << ordering.expected;
}

TEST(SweepTable, HasALineForEachRun) {
  std::vector<RunRecord> runs = {ood_run(kInfinity, 2, foreign("digits", 0.1, 0.2, 0.3, 0.4),
                                         foreign("a,b", 0.5, 0.5, 0.5, 1.0)),
                                 run_of(-1.0, 0, {{"complete", false}})};
  runs[0].processor = "A, B";
  runs[0].threads = 2;
  const CsvRows rows = csv_rows(runs_csv(runs));
  ASSERT_EQ(rows.size(), 3U);
  const auto field = [&](size_t row, const std::string& name) {
    const auto at = std::ranges::find(rows[0], name);
    EXPECT_NE(at, rows[0].end()) << name;
    return rows[row].at(static_cast<size_t>(at - rows[0].begin()));
  };
  EXPECT_EQ(rows[1].size(), rows[0].size());
  EXPECT_EQ(rows[2].size(), rows[0].size());
  EXPECT_EQ(field(1, "beta"), "inf");
  EXPECT_EQ(field(1, "seed"), "2");
  EXPECT_EQ(field(1, "processor"), "A, B");
  EXPECT_EQ(field(1, "auc_digits_typicality"), "0.2");
  EXPECT_EQ(field(1, "auc_a,b_familiarity"), "1");
  EXPECT_EQ(field(2, "beta"), "");
  EXPECT_EQ(field(2, "complete"), "0");
  EXPECT_EQ(field(2, "auc_digits_quantile"), "");
  const auto json = parse_json(runs_json(runs));
  EXPECT_EQ(json.at(0).at("beta"), "inf");
  EXPECT_EQ(json.at(0).at("threads"), 2);
  EXPECT_EQ(json.at(0).at("results").at("ood").size(), 2U);
  EXPECT_TRUE(json.at(1).at("beta").is_null());
  EXPECT_TRUE(contains(runs_text(runs), "not complete"));
  EXPECT_EQ(runs_csv({}), "");
}

}  // namespace
}  // namespace pal
