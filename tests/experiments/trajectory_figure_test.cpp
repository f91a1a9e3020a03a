#include "experiments/attack_study/trajectory_figure.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "experiments/attack_study/trajectory_plane.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

size_t times(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

/// Three classes, and an attack from the first that reaches the second at its third step.
TrajectoryFigure small_figure() {
  TrajectoryFigure figure{.title = "an attack",
                          .names = {"coat", "shirt", "bag"},
                          .means = {{-2, 0}, {2, 0}, {0, 3}},
                          .label = 0,
                          .target = 1,
                          .kappa = 1.0,
                          .decides = true};
  AttackTrajectory attack{.name = "cw"};
  for (const double x : {-2.0, -1.0, 0.5, 1.0, 0.4})
    attack.steps.push_back({{x, -0.5}, 3.0 - x, 0.01 * (x + 2.0), 4.0 * x, -2.0, x > 0.25});
  figure.trajectories.push_back(std::move(attack));
  return figure;
}

TEST(TrajectoryFigure, MarginLinesLieWhereTheMarginIsKappa) {
  // 0.5 (||p - a||^2 - ||p - t||^2) = <p, t - a> + 0.5 (||a||^2 - ||t||^2).
  // Over (-2, 0): 4 x >= 1. Over (0, 3): 2 x - 3 y + 2.5 >= 1. They meet at (0.25, 2/3).
  const std::vector<PlanePoint> means = {{-2, 0}, {2, 0}, {0, 3}};
  const auto pieces = margin_borders(means, 1, 1.0, {-10, -10}, {10, 10});
  ASSERT_EQ(pieces.size(), 2U);
  const auto has = [&](const CellBorder& piece, const PlanePoint& p) {
    const auto near = [&](const PlanePoint& q) {
      return std::hypot(p[0] - q[0], p[1] - q[1]) < 1e-12;
    };
    return near(piece.from) || near(piece.to);
  };
  EXPECT_TRUE(has(pieces[0], {0.25, -10.0}));
  EXPECT_TRUE(has(pieces[0], {0.25, 2.0 / 3.0}));
  EXPECT_TRUE(has(pieces[1], {0.25, 2.0 / 3.0}));
  EXPECT_TRUE(has(pieces[1], {10.0, 21.5 / 3.0}));
  // Without a margin they are the borders of the target's cell.
  const auto cells = cell_borders(means, {-10, -10}, {10, 10});
  for (const CellBorder& piece : margin_borders(means, 1, 0.0, {-10, -10}, {10, 10}))
    EXPECT_TRUE(std::ranges::any_of(cells, [&](const CellBorder& cell) {
      return has(cell, piece.from) && has(cell, piece.to);
    }));
  // A class between two others cannot win by any margin; nor can one of two in one place.
  EXPECT_TRUE(margin_borders({{-1, 0}, {0, 0}, {1, 0}}, 1, 2.0, {-9, -9}, {9, 9}).empty());
  EXPECT_TRUE(margin_borders({{1, 0}, {1, 0}, {0, 1}}, 0, 1.0, {-9, -9}, {9, 9}).empty());
}

TEST(TrajectoryFigure, DrawsTheWayTheClassesAndTheMargin) {
  TrajectoryFigure figure = small_figure();
  std::string svg = trajectory_svg(figure);
  for (const char* text :
       {">an attack<", ">shirt (target)<", ">coat (label)<", ">bag<", ">start<", ">end<", ">cw<",
        ">margin 1 for shirt<", ">border of two classes<", ">mean of the target<"})
    EXPECT_NE(svg.find(text), std::string::npos) << text;
  EXPECT_EQ(times(svg, R"(stroke-dasharray="6 4")"), 2U) << "the margin, and its legend";
  EXPECT_EQ(times(svg, R"(stroke-dasharray="0.1 4")"), 2U) << "before the margin, and its legend";
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  // Two steps before it is reached and the one across are dotted, two are solid.
  const auto corners_of = [&](const std::string& path) {
    return times(path, " M") + times(path, " L");
  };
  const auto path_before = [&](size_t at) {
    const size_t start = svg.rfind("d=\"", at);
    return svg.substr(start, svg.find('"', start + 3) - start);
  };
  EXPECT_EQ(corners_of(path_before(svg.find(R"(stroke-dasharray="0.1 4")"))), 3U);
  EXPECT_EQ(corners_of(path_before(svg.find(R"(stroke="#0072b2" stroke-width="1.8"/></svg>)"))),
            3U);
  // The target's mean is the largest dot.
  EXPECT_EQ(times(svg, R"(r="7")"), 2U) << "and in the legend";

  figure.kappa = std::numeric_limits<double>::infinity();
  svg = trajectory_svg(figure);
  EXPECT_EQ(svg.find("margin "), svg.find("margin not reached")) << "no region, no line";
  figure.kappa = 1.0;
  figure.decides = false;
  svg = trajectory_svg(figure);
  EXPECT_EQ(svg.find("border"), std::string::npos);
  EXPECT_EQ(svg.find(R"(stroke-dasharray="6 4")"), std::string::npos);
}

TEST(TrajectoryFigure, IsSolidFromTheFirstTimeOn) {
  TrajectoryFigure figure = small_figure();
  AttackTrajectory& attack = figure.trajectories[0];
  attack.name.clear();
  attack.steps.push_back({{-0.5, 0.0}});
  std::string svg = trajectory_svg(figure);
  const size_t end = svg.find(R"(stroke="#0072b2" stroke-width="1.8"/></svg>)");
  const size_t start = svg.rfind("d=\"", end);
  EXPECT_EQ(times(svg.substr(start, end - start), " L"), 3U) << "also where it is lost";
  EXPECT_NE(svg.find(">margin reached<"), std::string::npos) << "the name of what has none";
  for (TrajectoryStep& step : attack.steps) step.reached = false;
  svg = trajectory_svg(figure);
  EXPECT_EQ(svg.find(R"(stroke="#0072b2" stroke-width="1.8"/></svg>)"), std::string::npos);
}

TEST(TrajectoryFigure, HoldsSeveralAndComesCloser) {
  TrajectoryFigure figure = small_figure();
  figure.trajectories.push_back(figure.trajectories[0]);
  figure.trajectories[1].name = "ddn";
  figure.trajectories[1].steps.pop_back();
  std::string svg = trajectory_svg(figure);
  // Each label is drawn twice: its ground and itself.
  EXPECT_EQ(times(svg, ">start<"), 2U) << "one start for both";
  EXPECT_EQ(times(svg, ">end<"), 4U);
  EXPECT_NE(svg.find(">ddn<"), std::string::npos);
  EXPECT_NE(svg.find(">bag<"), std::string::npos);
  figure.means[2] = {0, 30};
  figure.close_up = true;
  svg = trajectory_svg(figure);
  EXPECT_EQ(svg.find(">bag<"), std::string::npos) << "beyond the picture";
  EXPECT_NE(svg.find(">start<"), std::string::npos);
}

TEST(TrajectoryFigure, RefusesWhatItCannotDraw) {
  const auto refuses = [](const char* text, auto spoil) {
    TrajectoryFigure figure = small_figure();
    spoil(figure);
    testing::expect_error(ErrorKind::usage, text, [&] { trajectory_svg(figure); });
  };
  refuses("no trajectory", [](TrajectoryFigure& f) { f.trajectories.clear(); });
  refuses("'cw' has no steps", [](TrajectoryFigure& f) { f.trajectories[0].steps.clear(); });
  refuses("2 names of 3 means", [](TrajectoryFigure& f) { f.names.pop_back(); });
  refuses("label 1 and target 1", [](TrajectoryFigure& f) { f.label = 1; });
  refuses("target 3; expected two of 3 classes", [](TrajectoryFigure& f) { f.target = 3; });
  TrajectoryFigure figure = small_figure();
  figure.trajectories[0].steps[1].at[0] = kNan;
  testing::expect_error(ErrorKind::numerics, "'cw' has a place", [&] { trajectory_svg(figure); });
}

TEST(Trace, IsDrawnOverSteps) {
  auto trajectories = small_figure().trajectories;
  std::string svg = trace_svg("t", trajectories, TraceNumber::objective);
  EXPECT_NE(svg.find(">objective<"), std::string::npos);
  EXPECT_NE(svg.find(">3<"), std::string::npos) << "not over decades";
  trajectories[0].steps[4].squared_distance = 2.0;
  svg = trace_svg("t", trajectories, TraceNumber::squared_distance);
  EXPECT_NE(svg.find(">0.01<"), std::string::npos) << "over decades, though it starts at 0";
  for (TrajectoryStep& step : trajectories[0].steps) step.log_density = kNan;
  EXPECT_EQ(trace_svg("t", trajectories, TraceNumber::log_density), "");
  trajectories[0].steps.resize(1);
  EXPECT_NE(trace_svg("t", trajectories, TraceNumber::margin).find("</svg>"), std::string::npos);
  testing::expect_error(ErrorKind::usage, "no trajectory",
                        [] { trace_svg("t", {}, TraceNumber::margin); });
}

TEST(Trace, IsWrittenAsCsv) {
  AttackTrajectory attack{.name = "cw, d 66"};
  attack.steps.push_back({{0.5, -1.0}, 3.25, 0.0, -4.0, -2.5, false});
  attack.steps.push_back({{kNan, kNan}, -1.0, 0.125, 1.0, kNan, true});
  EXPECT_EQ(trace_csv({attack}),
            "trajectory,step,objective,squared_distance,margin,log_density,x,y,reached\n"
            "\"cw, d 66\",0,3.25,0,-4,-2.5,0.5,-1,0\n"
            "\"cw, d 66\",1,-1,0.125,1,,,,1\n");
}

TEST(TrajectoryPlane, LiesInTheMeansThatTheTrajectoryComesClosestTo) {
  // Five means in the plane of the first two axes around (1, 1, 5), and two far from it. Their
  // squares along the first axis are 4 + 4 = 8, along the second 1 + 1 = 2.
  const std::vector<double> means = {90, 0, -50, 3, 1, 5, 1, 2, 5,  -1, 1,
                                     5,  1, 0,   5, 1, 1, 5, 0, 90, -50};
  const std::vector<double> steps = {2.9, 1, 7, 0, 1, 4};
  const TrajectoryPlane made = trajectory_plane(means, 7, steps);
  EXPECT_EQ(made.classes[0], 3) << "(-1, 1, 5) is sqrt(2) from the second step";
  std::vector<int64_t> fitted = made.classes;
  std::ranges::sort(fitted);
  EXPECT_EQ(fitted, (std::vector<int64_t>{1, 2, 3, 4, 5}));
  EXPECT_NEAR(made.plane.share(), 1.0, 1e-12);
  ASSERT_EQ(made.steps.size(), 2U);
  ASSERT_EQ(made.means.size(), 7U);
  // The signs of the axes are the plane's own.
  EXPECT_NEAR(std::abs(made.steps[0][0]), 1.9, 1e-12);
  EXPECT_NEAR(made.steps[0][1], 0.0, 1e-12);
  EXPECT_NEAR(std::abs(made.steps[1][0]), 1.0, 1e-12);
  EXPECT_LT(made.steps[0][0] * made.steps[1][0], 0.0) << "on both sides of the middle";
  EXPECT_NEAR(std::abs(made.means[1][0]), 2.0, 1e-12);
  EXPECT_NEAR(std::abs(made.means[2][1]), 1.0, 1e-12);
  EXPECT_NEAR(std::abs(made.means[0][0]), 89.0, 1e-9) << "also what it was not fitted to";
}

TEST(TrajectoryPlane, RefusesWhatIsNoPlane) {
  const std::vector<double> means = {0, 0, 1, 0, 0, 1};
  testing::expect_error(ErrorKind::usage, "at least 3 classes", [&] {
    trajectory_plane(means, 2, {0, 0});
  });
  testing::expect_error(ErrorKind::usage, "no steps of 2 dimensions", [&] {
    trajectory_plane(means, 3, {0, 0, 0});
  });
  testing::expect_error(ErrorKind::usage, "no steps", [&] { trajectory_plane(means, 3, {}); });
  testing::expect_error(ErrorKind::usage, "no means of 4 classes", [&] {
    trajectory_plane(means, 4, {0, 0});
  });
  testing::expect_error(ErrorKind::numerics, "not finite", [&] {
    trajectory_plane(means, 3, {0, kNan});
  });
  EXPECT_EQ(trajectory_plane(means, 3, {0, 0}).classes.size(), 3U) << "all, of fewer than five";
}

}  // namespace
}  // namespace pal
