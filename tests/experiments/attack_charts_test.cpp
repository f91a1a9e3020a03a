#include "experiments/attack_study/attack_charts.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "tests/support/numeric.h"

namespace pal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

size_t occurrences(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST(RobustCurve, DrawsWhatADetectorMisses) {
  RobustChart chart{.title = "pgd"};
  chart.curves.push_back({.name = "beta 1",
                          .epsilon = {0.0, 0.1, 0.2},
                          .accuracy = {0.9, 0.5, 0.0},
                          .unflagged = {0.1, 0.4, 0.3}});
  chart.curves.push_back(
      {.name = "ResNet", .epsilon = {0.0, 0.1, 0.2}, .accuracy = {0.95, 0.2, 0.0}});
  std::string svg = robust_curve_svg(chart);
  for (const char* text :
       {">pgd<", ">beta 1<", ">ResNet<", ">still right<", ">wrong, unflagged at 5 %<",
        ">largest perturbation allowed, L-infinity, pixels in [0, 1]<"})
    EXPECT_NE(svg.find(text), std::string::npos) << text;
  EXPECT_EQ(occurrences(svg, "stroke-dasharray"), 2U) << "of one model, and in the legend";
  // The dashed line has its model's colour: three lines' points, of two colours.
  EXPECT_EQ(occurrences(svg, R"(fill="#0072b2")"), 6U);
  EXPECT_EQ(occurrences(svg, R"(fill="#d55e00")"), 3U);
  chart.curves.erase(chart.curves.begin());
  svg = robust_curve_svg(chart);
  EXPECT_EQ(svg.find("unflagged"), std::string::npos);

  testing::expect_error(ErrorKind::usage, "nothing to draw", [] { robust_curve_svg({}); });
  chart.curves[0].accuracy.pop_back();
  testing::expect_error(ErrorKind::usage, "'ResNet' has 3 epsilons, 2 accuracies",
                        [&] { robust_curve_svg(chart); });
}

TEST(AttackBeta, GivesEachBetaAnEvenPlace) {
  const std::vector<AttackLine> lines = {
      {.kappa = 0.01,
       .beta = {0, 0.25, 1, kInfinity},
       .value = {0.2, 0.3, 0.4, 0.8},
       .error = {0.01, 0.01, 0.01, 0.02},
       .feed_forward = 0.5},
      {.kappa = 0.01, .d = 66, .beta = {0.25, 1}, .value = {0.4, kUnknown}},
      {.kappa = kInfinity, .beta = {0, 1}, .value = {0.9, 1.0}}};
  const std::string svg = attack_beta_svg("Fig. 7", AttackMeasure::l2, lines);
  for (const char* text : {">Fig. 7<", ">beta<", ">0.25<", ">inf<", ">kappa 0.01, d 0<",
                           ">kappa 0.01, d 66<", ">kappa inf, d 0<",
                           ">feed-forward, kappa 0.01, d 0<", ">mean L2 norm of the perturbation<"})
    EXPECT_NE(svg.find(text), std::string::npos) << text;
  // 4 places in [-0.5, 3.5] of a plot that is 68 pixels from the left.
  const size_t at = svg.find(R"(text-anchor="middle">0<)");
  ASSERT_NE(at, std::string::npos);
  const auto place_of = [&](const std::string& name) {
    const size_t end = svg.find("\" y=\"", svg.rfind("<text x=\"", svg.find(name)));
    const size_t start = svg.rfind('"', end - 1) + 1;
    return std::stod(svg.substr(start, end - start));
  };
  const double step = place_of(">0.25<") - place_of(R"("middle">0<)");
  EXPECT_GT(step, 60.0);
  EXPECT_NEAR(place_of(R"("middle">1<)") - place_of(">0.25<"), step, 0.11);
  EXPECT_NEAR(place_of(">inf<") - place_of(R"("middle">1<)"), step, 0.11);
  EXPECT_NEAR(place_of(R"("middle">0<)") - 68.0, 0.5 * step, 0.11);
  // A colour for each kappa, dots for the second d, dashes for the feed-forward net; 4 + 1 points
  // of the first kappa, 2 of the other.
  EXPECT_EQ(occurrences(svg, R"(fill="#0072b2")"), 5U);
  EXPECT_EQ(occurrences(svg, R"(fill="#d55e00")"), 2U);
  EXPECT_EQ(occurrences(svg, R"(stroke-dasharray="0.1 4")"), 2U);
  EXPECT_EQ(occurrences(svg, R"(stroke-dasharray="6 4")"), 2U);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(AttackBeta, DetectionIsComparedWithGuessing) {
  const std::vector<AttackLine> lines = {{.kappa = 1, .beta = {0, 1}, .value = {0.92, 0.5}}};
  const std::string svg = attack_beta_svg("Fig. 23", AttackMeasure::detection, lines);
  for (const char* text : {">guessing<", ">100<", ">kappa 1<", "AUC, %"})
    EXPECT_NE(svg.find(text), std::string::npos) << text;
  EXPECT_EQ(svg.find("visible"), std::string::npos);
}

TEST(AttackBeta, SizesOfSeveralOrdersGoOverDecades) {
  std::vector<AttackLine> lines = {{.kappa = 1, .beta = {0, 1}, .value = {0.1, 0.5}},
                                   {.kappa = kInfinity, .beta = {0, 1}, .value = {5.0, 8.0}}};
  EXPECT_NE(attack_beta_svg("t", AttackMeasure::corruption, lines).find(">0.1<"),
            std::string::npos);
  lines[0].value = {0.0, 0.5};
  EXPECT_EQ(attack_beta_svg("t", AttackMeasure::corruption, lines).find(">0.1<"), std::string::npos)
      << "0 has no place there";
}

TEST(AttackBeta, RefusesWhatItCannotDraw) {
  const auto refuses = [](const char* text, const std::vector<AttackLine>& lines) {
    testing::expect_error(ErrorKind::usage, text,
                          [&] { attack_beta_svg("t", AttackMeasure::uncertainty, lines); });
  };
  refuses("no beta in any of 0 lines", {});
  refuses("kappa 1, d 66 has 2 betas, 1 values",
          {{.kappa = 1, .d = 66, .beta = {0, 1}, .value = {1}}});
  refuses("'t' has no known value", {{.kappa = 1, .beta = {0}, .value = {kUnknown}}});
}

}  // namespace
}  // namespace pal
