// What a report says of attacks: means over all images, signs of weak attacks, robust curves; on cells
// by hand.
#include "experiments/attack_study/attack_report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/json.h"

namespace pal {
namespace {

/// A cell of `count` images of class 0 towards class 1 that all are reached by a healthy attack.
AttackCell good_cell(int64_t count, bool targeted = true) {
  AttackCell cell;
  for (const auto& [name, member] : AttackCell::columns())
    (cell.*member).assign(static_cast<size_t>(count), 0.0);
  for (int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(i);
    cell.index[at] = static_cast<double>(i);
    cell.target[at] = targeted ? 1.0 : -1.0;
    cell.answer[at] = cell.answer_8bit[at] = 1.0;
    cell.margin_start[at] = 2.0;
    cell.margin[at] = -0.5;
    cell.l2[at] = 0.1 * static_cast<double>(i + 1);
    cell.familiarity[at] = cell.clean_familiarity[at] = 1.0;
    cell.gradient_start[at] = 1.0;
    cell.fell[at] = 1.0;
  }
  return cell;
}

AttackSetting cw_setting() {
  AttackSetting setting;
  setting.kind = AttackKind::cw;
  setting.kappa = 0.01;
  return setting;
}

AttackSetting ball_setting(AttackKind kind, double eps, AttackLoss loss = AttackLoss::margin) {
  AttackSetting setting;
  setting.kind = kind;
  setting.eps = eps;
  setting.loss = loss;
  setting.targeted = false;
  return setting;
}

/// A study of one model on images of class 0 that it gets right, without attacks. Densities of
/// training images are 0 to 1, those of the images 0.5.
AttackStudy plain_study(int64_t count, bool density = true) {
  AttackStudy study;
  AttackedModelStudy model;
  model.label = "flow";
  model.dataset = "pictures";
  model.has_density = density;
  const auto n = static_cast<size_t>(count);
  if (density)
    for (int i = 0; i <= 100; ++i) model.reference.push_back(0.01 * i);
  model.image_label.assign(n, 0);
  model.clean = {std::vector<double>(n, 0.0), std::vector<double>(n, 1.0),
                 std::vector<double>(n, 0.0), std::vector<double>(n, 0.5),
                 std::vector<double>(n, 1.0), std::vector<double>(n, 2.0)};
  study.originals.index.resize(n);
  study.models.push_back(model);
  return study;
}

AttackReport report_of_run(const AttackRun& run, bool density = true, bool calibrated = false) {
  AttackStudy study = plain_study(run.cell.count(), density);
  study.models[0].calibrated = calibrated;
  study.models[0].runs.push_back(run);
  return attack_report_of(study, {});
}

bool has_warning(const AttackReport& report, const std::string& text) {
  return std::ranges::any_of(report.warnings, [&](const std::string& warning) {
    return warning.find(text) != std::string::npos;
  });
}

TEST(AttackReportTest, AHealthyAttackHasNoWarnings) {
  const AttackReport report = report_of_run({cw_setting(), good_cell(10), {}});
  EXPECT_TRUE(report.warnings.empty()) << report.warnings[0];
  const AttackRow& row = report.models[0].rows[0];
  EXPECT_EQ(row.images, 10);
  EXPECT_EQ(row.reached, 10);
  EXPECT_DOUBLE_EQ(row.success.value, 1.0);
  EXPECT_DOUBLE_EQ(row.kept, 1.0);
  EXPECT_NEAR(row.l2.value, 0.55, 1e-12);
  EXPECT_EQ(row.health.open, 10);
}

TEST(AttackReportTest, EverySignOfAWeakAttackIsTold) {
  const auto with = [](const std::function<void(AttackCell&)>& change) {
    AttackCell cell = good_cell(10);
    change(cell);
    return report_of_run({cw_setting(), cell, {}});
  };
  EXPECT_TRUE(has_warning(with([](AttackCell& c) { c.gradient_start[3] = 1e-14; }),
                          "1 of 10 images: the loss has no slope"));
  EXPECT_TRUE(has_warning(with([](AttackCell& c) { c.fell[0] = c.fell[1] = 0.0; }),
                          "2 of 10 images: no step made the objective smaller"));
  // One in ten may end above; more is a sign.
  EXPECT_TRUE(with([](AttackCell& c) { c.ended_above[0] = 1.0; }).warnings.empty());
  EXPECT_TRUE(has_warning(with([](AttackCell& c) { c.ended_above[0] = c.ended_above[1] = 1.0; }),
                          "2 of 10 images: the last step lies above"));
  EXPECT_TRUE(has_warning(with([](AttackCell& c) { c.broken[9] = 1.0; }),
                          "1 of 10 images: the model's answer was not finite"));
  const auto noise = [](AttackCell& c) {
    c.noise_reached[0] = c.noise_reached[1] = 1.0;
    c.answer[1] = 0.0;
  };
  EXPECT_TRUE(has_warning(with(noise), "1 of 10 images: random noise"));
  // Images that were at their goal before count for none of these; broken ones do.
  const AttackReport report = with([](AttackCell& c) {
    std::ranges::fill(c.margin_start, -1.0);
    std::ranges::fill(c.gradient_start, 0.0);
    std::ranges::fill(c.fell, 0.0);
    c.broken[2] = 1.0;
  });
  ASSERT_EQ(report.warnings.size(), 1U);
  EXPECT_EQ(report.warnings[0],
            "flow: cw-converged-k0.01-d0: 1 of 10 images: the model's answer was not finite at a "
            "step");
  EXPECT_EQ(report.models[0].rows[0].health.open, 0);
}

TEST(AttackReportTest, TransferThatBeatsTheOwnAttackIsTold) {
  AttackRun run = {cw_setting(), good_cell(4), {}};
  run.cell.answer = {1.0, 0.0, 0.0, 0.0};
  run.transferred["other"] = {1.0, 1.0, 0.0, 0.0};
  const AttackReport report = report_of_run(run);
  EXPECT_TRUE(
      has_warning(report, "images made to fool other reach 2, the model's own attack 1 of 4"));
  ASSERT_EQ(report.models[0].rows[0].transferred.size(), 1U);
  EXPECT_DOUBLE_EQ(report.models[0].rows[0].transferred[0].second, 0.5);
  run.cell.answer[1] = 1.0;
  EXPECT_TRUE(report_of_run(run).warnings.empty());
}

TEST(AttackReportTest, AMeanOverFewerImagesSaysSo) {
  AttackRun run = {cw_setting(), good_cell(4), {}};
  run.cell.answer[3] = 0.0;
  run.cell.margin[3] = 0.5;
  run.cell.margin[0] = -0.001;  // reached, not by kappa
  run.cell.answer_8bit = {0.0, 0.0, 1.0, 0.0};
  const AttackReport report = report_of_run(run);
  const AttackRow& row = report.models[0].rows[0];
  EXPECT_NEAR(row.l2.value, 0.25, 1e-12);  // of all
  EXPECT_NEAR(row.l2_reached.value, 0.2, 1e-12);
  EXPECT_DOUBLE_EQ(row.success.value, 0.75);
  EXPECT_DOUBLE_EQ(row.kept, 0.5);
  EXPECT_DOUBLE_EQ(row.success_8bit, 0.25);
  EXPECT_NE(to_text(report).find("L2 over the 3 of 4 that are reached 0.200"), std::string::npos)
      << to_text(report);
  // None reached: no mean at all.
  std::ranges::fill(run.cell.answer, 0.0);
  const auto json = parse_json(to_json(report_of_run(run)));
  EXPECT_TRUE(json["models"][0]["attacks"][0]["l2_reached"]["value"].is_null());
  EXPECT_EQ(json["models"][0]["attacks"][0]["reached"], 0);
}

TEST(AttackReportTest, NoticedSharesAndThoseThatGoUnnoticed) {
  AttackRun run = {cw_setting(), good_cell(4), {}};
  run.cell.density = {-5.0, 0.5, 0.5, 7.0};       // p 0, 1, 1, 0
  run.cell.familiarity = {1.0, 0.04, 0.05, 1.0};  // the second alone is below 5 %
  run.cell.answer[2] = 0.0;
  const AttackRow by_density = report_of_run(run).models[0].rows[0];
  EXPECT_DOUBLE_EQ(by_density.flagged.value(), 0.5);
  EXPECT_FALSE(by_density.familiarity_flagged.has_value());
  EXPECT_DOUBLE_EQ(by_density.unnoticed.value(), 0.25);
  EXPECT_NEAR(by_density.auc_two_tailed->value, 0.5, 0.02);  // two beyond all others, two below
  const AttackRow calibrated = report_of_run(run, true, true).models[0].rows[0];
  EXPECT_DOUBLE_EQ(calibrated.familiarity_flagged.value(), 0.25);
  EXPECT_DOUBLE_EQ(calibrated.unnoticed.value(), 0.5);
  const AttackRow none = report_of_run(run, false).models[0].rows[0];
  EXPECT_FALSE(none.flagged || none.auc_one_tailed || none.auc_two_tailed || none.unnoticed);
}

/// A run of the curve in which images are wrong or right, with a density.
AttackRun curve_run(const AttackSetting& setting, const std::vector<double>& answers,
                    const std::vector<double>& densities) {
  AttackRun run = {setting, good_cell(static_cast<int64_t>(answers.size()), false), {}};
  run.cell.answer = answers;
  run.cell.density = densities;
  return run;
}

TEST(AttackReportTest, AnImageThatIsLostStaysLostAtLargerRadii) {
  AttackStudy study = plain_study(4);
  AttackedModelStudy& model = study.models[0];
  model.clean.answer[3] = 2.0;  // wrong as it is, and noticed
  model.clean.density[3] = -9.0;
  AttackOptions options;
  options.robust_curve = {0.0, 0.1, 0.2};
  model.curve.resize(3);
  // At 0.1 two attacks lose an image each, one of them noticed; at 0.2 the attack fails.
  model.curve[1] = {
      curve_run(ball_setting(AttackKind::pgd, 0.1), {1.0, 0.0, 0.0, 2.0}, {-9.0, 0.5, 0.5, -9.0}),
      curve_run(ball_setting(AttackKind::pgd, 0.1, AttackLoss::cross_entropy), {0.0, 1.0, 0.0, 2.0},
                {0.5, 0.5, 0.5, -9.0})};
  model.curve[2] = {
      curve_run(ball_setting(AttackKind::pgd, 0.2), {0.0, 0.0, 0.0, 2.0}, {0.5, 0.5, 0.5, -9.0})};
  const AttackReport report = attack_report_of(study, options);
  const auto& curve = report.models[0].curve;
  ASSERT_EQ(curve.size(), 3U);
  EXPECT_DOUBLE_EQ(report.models[0].clean_accuracy, 0.75);
  EXPECT_DOUBLE_EQ(curve[0].accuracy, 0.75);
  EXPECT_DOUBLE_EQ(curve[0].noticed_density.value(), 1.0);
  EXPECT_DOUBLE_EQ(curve[1].accuracy, 0.25);
  EXPECT_DOUBLE_EQ(curve[1].noticed_density.value(), 0.75);
  ASSERT_EQ(curve[1].attacks.size(), 2U);
  EXPECT_DOUBLE_EQ(curve[1].attacks[0].second, 0.5);
  EXPECT_DOUBLE_EQ(curve[2].alone, 0.75);
  EXPECT_DOUBLE_EQ(curve[2].accuracy, 0.25);
  EXPECT_DOUBLE_EQ(curve[2].noticed_density.value(), 0.75);
  EXPECT_FALSE(curve[2].noticed_familiarity.has_value());
  EXPECT_TRUE(has_warning(report,
                          "robust accuracy rises from 25.0 % to 75.0 % between the radii 0.1 "
                          "and 0.2"));
}

TEST(AttackReportTest, SquaresThatReachMoreThanGradientsAreTold) {
  AttackStudy study = plain_study(3);
  AttackedModelStudy& model = study.models[0];
  AttackOptions options;
  options.robust_curve = {0.1};
  const std::vector<double> densities(3, 0.5);
  const AttackRun square =
      curve_run(ball_setting(AttackKind::square, 0.1), {1.0, 1.0, 0.0}, densities);
  model.curve = {
      {curve_run(ball_setting(AttackKind::pgd, 0.1), {1.0, 0.0, 1.0}, densities), square}};
  EXPECT_TRUE(has_warning(attack_report_of(study, options),
                          "square-linf-0.1: 1 of 3 images are reached without gradients"));
  // Another radius is no comparison.
  model.curve[0][0].setting.eps = 0.05;
  EXPECT_TRUE(attack_report_of(study, options).warnings.empty());
}

TEST(AttackReportTest, JsonHoldsNoNumberThatIsNone) {
  AttackRun run = {cw_setting(), good_cell(2), {}};
  run.setting.kappa = std::numeric_limits<double>::infinity();
  run.cell.contrast = {1.0, std::numeric_limits<double>::infinity()};
  run.cell.objective_start[0] = std::numeric_limits<double>::quiet_NaN();
  const auto json = parse_json(to_json(report_of_run(run)));
  const auto& row = json["models"][0]["attacks"][0];
  EXPECT_EQ(row["kappa"], "inf");
  // The mean over the image that has contrast, with how many these are.
  EXPECT_EQ(row["contrast_ratio"]["value"], 1.0);
  EXPECT_EQ(row["contrast_images"], 1);
  run.cell.contrast.assign(2, std::numeric_limits<double>::quiet_NaN());
  const auto none = parse_json(to_json(report_of_run(run)));
  EXPECT_TRUE(none["models"][0]["attacks"][0]["contrast_ratio"]["value"].is_null());
  EXPECT_EQ(none["models"][0]["attacks"][0]["contrast_images"], 0);
}

}  // namespace
}  // namespace pal
