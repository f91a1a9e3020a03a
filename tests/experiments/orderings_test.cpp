#include "experiments/pages/orderings.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "experiments/pages/run_figures.h"
#include "experiments/pages/run_measures.h"
#include "experiments/pages/sweep_table.h"
#include "runtime/error.h"
#include "runtime/json.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

using Verdict = Ordering::Verdict;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A complete, evaluated run. A beta below 0: a network that only classifies.
RunRecord run_of(double beta, uint64_t seed, nlohmann::json results = nlohmann::json::object()) {
  RunRecord run;
  run.flow = beta >= 0.0;
  if (run.flow) run.beta = beta;
  run.arch = run.flow ? "ibinn-mnist" : "resnet-small";
  run.name = fmt::format("{}_seed_{}", run.flow ? fmt::format("beta_{}", beta) : "resnet", seed);
  run.seed = seed;
  run.epochs = 4.0;
  run.dataset = "fashion-mnist";
  const nlohmann::json usual = {
      {"complete", true}, {"chose_checkpoint", false}, {"images", 10000}, {"acc1", 0.5}};
  for (const auto& [key, value] : usual.items())
    if (!results.contains(key)) results[key] = value;
  run.summary = std::make_shared<const nlohmann::json>(std::move(results));
  return run;
}

/// Runs of seeds 0, 1, ... that differ in one number of summary.json.
void add_runs(std::vector<RunRecord>& runs, double beta, const std::string& key,
              const std::vector<double>& values) {
  for (size_t seed = 0; seed < values.size(); ++seed)
    runs.push_back(run_of(beta, seed, {{key, values[seed]}}));
}

/// The only ordering that expects a text with these words.
Ordering ordering_of(const std::vector<RunRecord>& runs, const std::string& words) {
  std::vector<Ordering> found;
  for (const Ordering& ordering : orderings(runs))
    if (ordering.expected.find(words) != std::string::npos) found.push_back(ordering);
  EXPECT_EQ(found.size(), 1U) << words;
  return found.at(0);
}

Verdict verdict_of(const std::vector<RunRecord>& runs, const std::string& words) {
  return ordering_of(runs, words).verdict;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Groups.

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
    EXPECT_EQ(ordering.verdict, Verdict::not_measured) << ordering.expected;
}

// Courses over beta.

TEST(Orderings, AccuracyRises) {
  const std::string words = "accuracy rises with beta";
  std::vector<RunRecord> runs;
  add_runs(runs, 0.0, "acc1", {0.99, 0.99, 0.99});  // means nothing
  add_runs(runs, 0.25, "acc1", {0.80, 0.81, 0.82});
  EXPECT_EQ(verdict_of(runs, words), Verdict::not_measured) << "one beta";
  add_runs(runs, 1.0, "acc1", {0.81, 0.82, 0.83});
  EXPECT_EQ(verdict_of(runs, words), Verdict::undecided)
      << "0.01 is less than 2 sqrt(2) 0.01 / sqrt(3)";
  add_runs(runs, 4.0, "acc1", {0.85, 0.86, 0.87});
  const Ordering rises = ordering_of(runs, words);
  EXPECT_EQ(rises.verdict, Verdict::holds) << "from the first to the last";
  EXPECT_TRUE(contains(rises.measured, "beta 0.25: 81.00 +- 0.58 %")) << rises.measured;
  EXPECT_TRUE(contains(rises.measured, "; unclear: beta 0.25 and beta 1")) << rises.measured;
  add_runs(runs, 16.0, "acc1", {0.81, 0.82, 0.83});
  const Ordering falls = ordering_of(runs, words);
  EXPECT_EQ(falls.verdict, Verdict::does_not_hold);
  EXPECT_TRUE(contains(falls.measured, "; reversed: beta 4 and beta 16")) << falls.measured;
}

TEST(Orderings, OneSeedIsJudgedByTheErrorWithinTheRun) {
  std::vector<RunRecord> runs;
  add_runs(runs, 1.0, "acc1", {0.85});
  add_runs(runs, 4.0, "acc1", {0.86});
  // Two errors of 10,000 images: 2 sqrt(0.85 0.15 / 10000 + 0.86 0.14 / 10000) is 0.00997.
  const Ordering one = ordering_of(runs, "accuracy rises with beta");
  EXPECT_EQ(one.verdict, Verdict::holds);
  EXPECT_TRUE(contains(one.measured, "; one seed (errors within the run)")) << one.measured;
  runs[1] = run_of(4.0, 0, {{"acc1", 0.8599}});
  EXPECT_EQ(verdict_of(runs, "accuracy rises with beta"), Verdict::undecided);
  runs[1] = run_of(4.0, 0, {{"acc1", 0.83}});
  EXPECT_EQ(verdict_of(runs, "accuracy rises with beta"), Verdict::does_not_hold);
  // Bits/dim have no error within a run.
  runs.clear();
  add_runs(runs, 0.0, "bits_per_dim", {3.0});
  add_runs(runs, 1.0, "bits_per_dim", {9.0});
  const Ordering bits = ordering_of(runs, "worsens strictly");
  EXPECT_EQ(bits.verdict, Verdict::undecided);
  EXPECT_TRUE(contains(bits.measured, "; one seed (no standard error)")) << bits.measured;
}

TEST(Orderings, CrossEntropyHasTheErrorThatEvaluationsWrite) {
  const auto results = [](double ce) {
    return nlohmann::json{{"ce", ce}, {"nll", {{"value", ce}, {"standard_error", 0.004}}}};
  };
  std::vector<RunRecord> runs = {run_of(1.0, 0, results(0.40)), run_of(4.0, 0, results(0.38))};
  EXPECT_EQ(verdict_of(runs, "CE falls"), Verdict::holds) << "0.02 is 3.5 errors of 0.0057";
  runs[1] = run_of(4.0, 0, results(0.39));
  EXPECT_EQ(verdict_of(runs, "CE falls"), Verdict::undecided);
}

TEST(Orderings, BitsRiseStrictly) {
  const std::string words = "worsens strictly";
  std::vector<RunRecord> runs;
  add_runs(runs, 0.0, "bits_per_dim", {4.0, 4.1});
  add_runs(runs, 1.0, "bits_per_dim", {5.0, 5.1});
  add_runs(runs, kInfinity, "bits_per_dim", {8.0, 8.1});
  EXPECT_EQ(verdict_of(runs, words), Verdict::holds);
  EXPECT_EQ(verdict_of(runs, "beta 0 has the best"), Verdict::holds);
  EXPECT_EQ(verdict_of(runs, "of bits/dim with beta at least"), Verdict::holds);
  add_runs(runs, 4.0, "bits_per_dim", {5.05, 5.1});
  EXPECT_EQ(verdict_of(runs, words), Verdict::undecided) << "from 1 to 4";
  EXPECT_EQ(verdict_of(runs, "beta 0 has the best"), Verdict::holds);
  add_runs(runs, 0.25, "bits_per_dim", {3.0, 3.1});
  EXPECT_EQ(verdict_of(runs, words), Verdict::does_not_hold);
  EXPECT_EQ(verdict_of(runs, "beta 0 has the best"), Verdict::does_not_hold);
  std::erase_if(runs, [](const RunRecord& run) { return run.beta == 0.0; });
  EXPECT_EQ(verdict_of(runs, "beta 0 has the best"), Verdict::not_measured);
}

TEST(Orderings, TiesAreUndecided) {
  std::vector<RunRecord> runs;
  for (const double beta : {0.0, 1.0, 4.0})
    for (uint64_t seed = 0; seed < 2; ++seed)
      runs.push_back(run_of(beta, seed, {{"bits_per_dim", 5.0}, {"ce", 0.4}}));
  for (const char* words : {"worsens strictly", "beta 0 has the best", "CE falls"})
    EXPECT_EQ(verdict_of(runs, words), Verdict::undecided) << words;
  // A correlation without any order is 0.
  EXPECT_EQ(verdict_of(runs, "of bits/dim with beta at least"), Verdict::does_not_hold);
}

TEST(Orderings, RankCorrelationIsOfEachSeed) {
  const std::string words = "of CE with beta at most -0.9";
  std::vector<RunRecord> runs;
  const std::vector<double> betas = {0.25, 1.0, 4.0, 16.0, kInfinity};
  const double ce[2][5] = {{0.9, 0.8, 0.7, 0.6, 0.5}, {0.9, 0.8, 0.7, 0.5, 0.6}};
  for (size_t i = 0; i < betas.size(); ++i) runs.push_back(run_of(betas[i], 0, {{"ce", ce[0][i]}}));
  EXPECT_EQ(verdict_of(runs, words), Verdict::undecided) << "one seed";
  for (size_t i = 0; i < betas.size(); ++i) runs.push_back(run_of(betas[i], 1, {{"ce", ce[1][i]}}));
  // -1 and -0.9: the mean is one standard error of 0.05 beyond -0.9.
  const Ordering both = ordering_of(runs, words);
  EXPECT_EQ(both.verdict, Verdict::undecided);
  EXPECT_TRUE(contains(both.measured, "-0.950 +- 0.050")) << both.measured;
  for (size_t i = 0; i < betas.size(); ++i) runs[i] = run_of(betas[i], 0, {{"ce", ce[1][i]}});
  EXPECT_EQ(verdict_of(runs, words), Verdict::holds) << "-0.9 twice";
  // A seed that lacks a beta does not count.
  runs.resize(9);
  EXPECT_TRUE(contains(ordering_of(runs, words).measured, "one seed"));
  runs.resize(4);
  EXPECT_TRUE(contains(ordering_of(runs, words).measured, "over 4 betas"));
  runs.resize(2);
  EXPECT_EQ(verdict_of(runs, words), Verdict::not_measured);
}

TEST(Orderings, TheFeedForwardNetIsBest) {
  const std::string words = "the feed-forward net has the best accuracy";
  std::vector<RunRecord> runs;
  add_runs(runs, 1.0, "acc1", {0.85, 0.86});
  EXPECT_EQ(verdict_of(runs, words), Verdict::not_measured) << "there is none";
  add_runs(runs, -1.0, "acc1", {0.90, 0.91});
  EXPECT_EQ(verdict_of(runs, words), Verdict::holds);
  add_runs(runs, kInfinity, "acc1", {0.90, 0.90});
  EXPECT_EQ(verdict_of(runs, words), Verdict::undecided);
  add_runs(runs, 16.0, "acc1", {0.95, 0.95});
  EXPECT_EQ(verdict_of(runs, words), Verdict::does_not_hold);
}

nlohmann::json oce(double threshold, double confident, double errors, bool sufficient = true) {
  return {{"threshold", threshold},
          {"value", errors / confident / (1.0 - threshold)},
          {"confident", confident},
          {"errors", errors},
          {"sufficient", sufficient}};
}

TEST(Orderings, OverconfidenceIsThatOfTheHighestThresholdThatAllReach) {
  std::vector<RunRecord> runs;
  runs.push_back(run_of(1.0, 0, {{"oce", {oce(0.997, 1000, 3), oce(0.99, 5000, 50)}}}));
  runs.push_back(run_of(4.0, 0, {{"oce", {oce(0.997, 1000, 30), oce(0.99, 5000, 500)}}}));
  EXPECT_EQ(verdict_of(runs, "OCE at 0.997 grows"), Verdict::holds);
  EXPECT_EQ(verdict_of(runs, "OCE at 0.997 is largest"), Verdict::not_measured);
  runs.push_back(run_of(-1.0, 0, {{"oce", {oce(0.997, 10, 1, false), oce(0.99, 300, 0)}}}));
  const Ordering grows = ordering_of(runs, "0.997) grows with beta");
  EXPECT_EQ(grows.verdict, Verdict::holds);
  EXPECT_TRUE(contains(grows.expected, "OCE at 0.99 (too few images reach 0.997)"));
  EXPECT_EQ(verdict_of(runs, "is largest"), Verdict::does_not_hold);
  // No errors among 300: sqrt(p (1 - p) / 300) / 0.01 of p = 1 / 302.
  const auto none = overconfidence_at(0.99)(runs[2]);
  EXPECT_EQ(none->value, 0.0);
  EXPECT_NEAR(*none->error, std::sqrt(301.0) / 302.0 / std::sqrt(300.0) / 0.01, 1e-9);
  EXPECT_FALSE(overconfidence_at(0.997)(runs[2]).has_value());
  EXPECT_FALSE(overconfidence_at(0.5)(runs[0]).has_value());
}

TEST(Orderings, EceIsFlat) {
  std::vector<RunRecord> runs;
  add_runs(runs, 1.0, "ece", {0.010, 0.011});
  EXPECT_EQ(verdict_of(runs, "ECE is flat"), Verdict::not_measured);
  add_runs(runs, 4.0, "ece", {0.011, 0.012});
  EXPECT_EQ(verdict_of(runs, "ECE is flat"), Verdict::holds);
  add_runs(runs, -1.0, "ece", {0.015, 0.016});
  EXPECT_EQ(verdict_of(runs, "ECE is flat"), Verdict::undecided);
  add_runs(runs, 16.0, "ece", {0.03, 0.03});
  EXPECT_EQ(verdict_of(runs, "ECE is flat"), Verdict::does_not_hold);
}

// Outliers.

nlohmann::json foreign(const std::string& set, double one, double typical, double quantile,
                       double familiarity) {
  const auto test = [](const char* name, double auc) {
    return nlohmann::json{{"test", name}, {"auc", auc}, {"auc_standard_error", 0.002}};
  };
  return {
      {"set", set},
      {"tests", {test("one-tailed", one), test("typicality", typical), test("quantile", quantile)}},
      {"auc_familiarity", familiarity}};
}

RunRecord ood_run(double beta, uint64_t seed, const nlohmann::json& first,
                  const nlohmann::json& second) {
  nlohmann::json results = {{"ood", nlohmann::json::array({first, second})}};
  return run_of(beta, seed, results);
}

TEST(Orderings, DigitsAndOtherSets) {
  std::vector<RunRecord> runs = {ood_run(1.0, 0, foreign("digits", 0.1, 0.95, 0.97, 0.98),
                                         foreign("low-contrast", 0.5, 0.5, 0.47, 0.98)),
                                 // Of beta infinity there is no density to speak of.
                                 ood_run(kInfinity, 0, foreign("digits", 0.9, 0.1, 0.1, 0.5),
                                         foreign("low-contrast", 0.5, 0.5, 0.9, 0.1))};
  EXPECT_EQ(verdict_of(runs, "one-tailed AUC below 50 %"), Verdict::holds);
  EXPECT_EQ(verdict_of(runs, "the quantile test's AUC is higher"), Verdict::holds);
  EXPECT_EQ(verdict_of(runs, "the typicality test's AUC is higher"), Verdict::holds);
  EXPECT_EQ(verdict_of(runs, "within 10 % of each other"), Verdict::holds);
  EXPECT_EQ(verdict_of(runs, "low contrast is told"), Verdict::does_not_hold);
  EXPECT_EQ(verdict_of(runs, "familiarity tells"), Verdict::undecided) << "one seed";
  runs.push_back(ood_run(1.0, 1, foreign("digits", 0.1, 0.95, 0.97, 0.98),
                         foreign("low-contrast", 0.5, 0.5, 0.47, 0.96)));
  EXPECT_EQ(verdict_of(runs, "familiarity tells"), Verdict::holds);
  EXPECT_NEAR(familiarity_gain(runs[0])->value, 0.5 * (0.01 + 0.51), 1e-12);
  runs.push_back(ood_run(0.0, 0, foreign("digits", 0.6, 0.4, 0.55, 0.4),
                         foreign("low-contrast", 0.5, 0.5, 0.9, 0.4)));
  EXPECT_EQ(verdict_of(runs, "one-tailed AUC below 50 %"), Verdict::does_not_hold);
  EXPECT_EQ(verdict_of(runs, "the quantile test's AUC is higher"), Verdict::does_not_hold);
  EXPECT_EQ(verdict_of(runs, "within 10 % of each other"), Verdict::does_not_hold);
  EXPECT_EQ(familiarity_auc("digits")(runs[0])->value, 0.98);
  EXPECT_FALSE(familiarity_auc("shuffled")(runs[0]).has_value());
}

TEST(Orderings, CloseTestsOnEitherSide) {
  // Typicality above the quantile test by more than the bound, or just by the bound.
  std::vector<RunRecord> runs = {ood_run(1.0, 0, foreign("digits", 0.1, 0.95, 0.80, 0.9),
                                         foreign("noise", 0.5, 0.5, 0.5, 0.5))};
  EXPECT_EQ(verdict_of(runs, "within 10 % of each other"), Verdict::does_not_hold);
  runs = {ood_run(1.0, 0, foreign("digits", 0.1, 0.95, 0.85, 0.9),
                  foreign("noise", 0.5, 0.5, 0.5, 0.5))};
  EXPECT_EQ(verdict_of(runs, "within 10 % of each other"), Verdict::undecided);
}

// Figures.

/// A run in a folder of its own.
RunRecord run_in(const testing::TemporaryFolder& folder, double beta, uint64_t seed = 0) {
  RunRecord run = run_of(beta, seed, {{"noise_free", {{"acc1", 0.8}}}});
  run.path = folder.path();
  return run;
}

/// influence(k, l) of a map of 2 x 2.
std::string dct_csv(double first, double across, double upwards, double both) {
  return fmt::format("vertical,horizontal,influence\n0,0,{}\n0,1,{}\n1,0,{}\n1,1,{}\n", first,
                     across, upwards, both);
}

TEST(Orderings, ComponentsOfThePooling) {
  const testing::TemporaryFolder folder, other;
  folder.write("dct.csv", dct_csv(4.0, 1.0, 2.0, 1.0));
  const std::vector<RunRecord> alone = {run_in(folder, 1.0)};
  const DctNumbers numbers = *dct_numbers(alone[0]);
  EXPECT_EQ(numbers.side, 2);
  EXPECT_DOUBLE_EQ(numbers.first, 2.0);
  EXPECT_DOUBLE_EQ(numbers.across, 2.0 / 6.0);
  EXPECT_DOUBLE_EQ(numbers.upwards, 3.0 / 5.0);
  EXPECT_EQ(verdict_of(alone, "component (0, 0)"), Verdict::undecided) << "one seed";
  other.write("dct.csv", dct_csv(4.4, 1.0, 2.0, 1.0));
  std::vector<RunRecord> runs = {run_in(folder, 1.0), run_in(other, 1.0, 1)};
  EXPECT_EQ(verdict_of(runs, "component (0, 0)"), Verdict::holds);
  EXPECT_EQ(verdict_of(runs, "odd horizontal"), Verdict::holds);
  folder.write("dct.csv", dct_csv(4.0, 9.0, 1.0, 9.0));
  other.write("dct.csv", dct_csv(4.0, 9.1, 1.0, 9.0));
  EXPECT_EQ(verdict_of(runs, "component (0, 0)"), Verdict::does_not_hold);
  EXPECT_EQ(verdict_of(runs, "odd horizontal"), Verdict::does_not_hold);
  // Small, but no smaller than the vertical ratio.
  folder.write("dct.csv", dct_csv(4.0, 2.0, 1.0, 1.0));
  other.write("dct.csv", dct_csv(4.1, 2.0, 1.0, 1.0));
  EXPECT_EQ(verdict_of(runs, "odd horizontal"), Verdict::does_not_hold);
}

/// A field of some pixels in a row that falls to nothing `width` / 2 pixels from its centre, linearly
/// along the middle row and column.
std::string field_csv(int side, double width) {
  std::string csv = "row,column,sensitivity\n";
  for (int i = 0; i < side; ++i)
    for (int j = 0; j < side; ++j) {
      const double far = std::abs(i - side / 2) + std::abs(j - side / 2);
      csv += fmt::format("{},{},{}\n", i, j, std::max(0.0, 1.0 - far / width));
    }
  return csv;
}

TEST(Orderings, WidthsOfReceptiveFields) {
  const testing::TemporaryFolder folders[4];
  // A triangle is as wide at half its height as its half base.
  const double width[4] = {3.0, 3.2, 5.0, 5.2};
  std::vector<RunRecord> runs;
  for (int i = 0; i < 4; ++i) {
    folders[i].write("receptive-field.csv", field_csv(16, width[i]));
    runs.push_back(run_in(folders[i], i < 2 ? 1.0 : kInfinity, static_cast<uint64_t>(i % 2)));
    EXPECT_NEAR(field_numbers(runs.back())->width, width[i], 1e-12);
  }
  EXPECT_EQ(verdict_of(runs, "FWHM grows"), Verdict::holds);
  EXPECT_EQ(verdict_of(runs, "strides of the final map"), Verdict::not_measured) << "no dct.csv";
  std::string map = "vertical,horizontal,influence\n";
  for (int k = 0; k < 8; ++k)
    for (int l = 0; l < 8; ++l) map += fmt::format("{},{},1\n", k, l);
  for (const auto& folder : folders) folder.write("dct.csv", map);
  // 3.1 pixels of strides of 2.
  EXPECT_EQ(verdict_of(runs, "strides of the final map"), Verdict::holds);
  folders[0].write("receptive-field.csv", field_csv(16, 40.0));
  EXPECT_FALSE(field_numbers(runs[0])->bounded);
  EXPECT_EQ(field_numbers(runs[0])->width, 16.0);
  const Ordering wide = ordering_of(runs, "FWHM grows");
  EXPECT_EQ(wide.verdict, Verdict::undecided);
  EXPECT_TRUE(contains(wide.measured, "counted as its side: beta 1")) << wide.measured;
}

std::string plane_csv(int right, int wrong) {
  std::string csv = "image,name,label,along,up,predicted\n";
  for (int i = 0; i < right; ++i) csv += "1,\"a, \"\"b\"\"\",coat,0,0,coat\n";
  for (int i = 0; i < wrong; ++i) csv += "1,x,coat,0,0,bag\n";
  return csv;
}

TEST(Orderings, PlanesKeepMostOfTheAccuracy) {
  const testing::TemporaryFolder folder;
  const std::vector<RunRecord> runs = {run_in(folder, 1.0)};
  EXPECT_EQ(verdict_of(runs, "in a plane"), Verdict::not_measured);
  folder.write("plane.csv", plane_csv(790, 210));
  EXPECT_NEAR(plane_accuracy(runs[0])->value, 0.79, 1e-12);
  EXPECT_EQ(verdict_of(runs, "in a plane"), Verdict::holds) << "of 0.8";
  folder.write("plane.csv", plane_csv(730, 270));
  EXPECT_EQ(verdict_of(runs, "in a plane"), Verdict::undecided) << "0.72 would be 90 %";
  folder.write("plane.csv", plane_csv(600, 400));
  EXPECT_EQ(verdict_of(runs, "in a plane"), Verdict::does_not_hold);
}

/// Distances between the classes that count; those of clothes among each other first.
std::string similarity_csv(double clothes, double across) {
  const std::vector<std::string> names = {"T-shirt/top", "Pullover", "dress",   "coat",
                                          "shirt",       "sandal",   "sneaker", "ankle boot",
                                          "bag",         "trouser"};
  std::string csv = "class_a,class_b,distance,uncertainty\n";
  for (size_t a = 0; a < names.size(); ++a)
    for (size_t b = a + 1; b < names.size(); ++b)
      csv += fmt::format("{},{},{},0.1\n", names[a], names[b],
                         b < 5            ? clothes
                         : a < 5 && b < 9 ? across
                                          : 77.0);
  return csv;
}

TEST(Orderings, AlikeClassesAreNear) {
  const testing::TemporaryFolder folder, other;
  std::vector<RunRecord> runs = {run_in(folder, 1.0), run_in(other, 1.0, 1)};
  folder.write("similarity.csv", similarity_csv(3.0, 6.0));
  EXPECT_DOUBLE_EQ(clothes_ratio(runs[0])->value, 0.5);
  const Ordering one = ordering_of(runs, "alike classes");
  EXPECT_EQ(one.verdict, Verdict::undecided);
  EXPECT_TRUE(contains(one.measured, "one seed")) << one.measured;
  other.write("similarity.csv", similarity_csv(3.2, 6.0));
  EXPECT_EQ(verdict_of(runs, "alike classes"), Verdict::holds);
  folder.write("similarity.csv", similarity_csv(9.0, 6.0));
  other.write("similarity.csv", similarity_csv(9.2, 6.0));
  EXPECT_EQ(verdict_of(runs, "alike classes"), Verdict::does_not_hold);
  // Other classes.
  for (const auto* each : {&folder, &other})
    each->write("similarity.csv", std::string("class_a,class_b,distance,uncertainty\na,b,1,0.1\n"));
  EXPECT_EQ(verdict_of(runs, "alike classes"), Verdict::not_measured);
}

TEST(Orderings, BrokenFilesAreNamed) {
  const testing::TemporaryFolder folder;
  const std::vector<RunRecord> runs = {run_in(folder, 1.0)};
  for (const char* text :
       {"", "a,b,c\n1,2,3\n", "vertical,horizontal,influence\n",
        "vertical,horizontal,influence\n0,0,1\n0,1\n", "vertical,horizontal,influence\n0,0,x\n",
        "vertical,horizontal,influence\n0,0,1\n0,1,1\n",
        "vertical,horizontal,influence\n0,0,1\n1,0,1\n0,1,1\n1,1,1\n"}) {
    folder.write("dct.csv", std::string(text));
    try {
      orderings(runs);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      EXPECT_TRUE(contains(error.what(), "dct.csv")) << error.what();
    }
  }
}

// Texts.

TEST(Orderings, TextBeginsWithWhatDoesNotHold) {
  const std::vector<Ordering> list = {{"Fig. 1", "up, and \"on\"", "1, 2", Verdict::holds},
                                      {"Fig. 2", "down", "", Verdict::not_measured},
                                      {"Fig. 3", "left", "3", Verdict::does_not_hold}};
  EXPECT_EQ(to_text(list),
            "1 of 3 orderings do not hold, 1 hold, 0 are undecided, 1 not measured\n"
            "\ndoes not hold: Fig. 3: left\n  3\n"
            "\nholds: Fig. 1: up, and \"on\"\n  1, 2\n"
            "\nnot measured: Fig. 2: down");
  const CsvRows rows = csv_rows(to_csv(list));
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0], (std::vector<std::string>{"product", "expected", "measured", "verdict"}));
  EXPECT_EQ(rows[1], (std::vector<std::string>{"Fig. 1", "up, and \"on\"", "1, 2", "holds"}));
  EXPECT_EQ(count_of(list, Verdict::holds), 1);
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
