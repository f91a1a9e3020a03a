#include "experiments/comparison/orderings.h"

#include <gtest/gtest.h>

#include <cmath>

#include "experiments/comparison/csv_rows.h"
#include "experiments/comparison/run_measures.h"
#include "tests/experiments/sweep_runs.h"

namespace pal {
namespace {

using namespace testing;
using Verdict = Ordering::Verdict;

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
  EXPECT_EQ(verdict_of(runs, "OCE at 0.997) grows"), Verdict::holds);
  EXPECT_EQ(verdict_of(runs, "OCE at 0.997) is largest"), Verdict::not_measured);
  runs.push_back(run_of(-1.0, 0, {{"oce", {oce(0.997, 10, 1, false), oce(0.99, 300, 0)}}}));
  const Ordering grows = ordering_of(runs, "0.997) grows with beta");
  EXPECT_EQ(grows.verdict, Verdict::holds);
  EXPECT_TRUE(contains(grows.expected, "OCE at 0.99, as too few images reach 0.997)"));
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
  EXPECT_EQ(verdict_of(runs, ") is flat"), Verdict::not_measured);
  add_runs(runs, 4.0, "ece", {0.011, 0.012});
  EXPECT_EQ(verdict_of(runs, ") is flat"), Verdict::holds);
  add_runs(runs, -1.0, "ece", {0.015, 0.016});
  EXPECT_EQ(verdict_of(runs, ") is flat"), Verdict::undecided);
  add_runs(runs, 16.0, "ece", {0.03, 0.03});
  EXPECT_EQ(verdict_of(runs, ") is flat"), Verdict::does_not_hold);
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

}  // namespace
}  // namespace pal
