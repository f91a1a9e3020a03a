#include "experiments/report/chart.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string>

#include "tests/support/numeric.h"

namespace pal {
namespace {

TEST(Chart, TicksAreRoundNumbers) {
  EXPECT_EQ(axis_ticks(0.0, 1.0),
            (std::vector<double>{0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0}));
  EXPECT_EQ(axis_ticks(-3.0, 7.0), (std::vector<double>{-2.0, 0.0, 2.0, 4.0, 6.0}));
  EXPECT_EQ(axis_ticks(120.0, 1000.0).size(), 5U);
  for (const double scale : {1e-9, 1.0, 1e12}) {
    const size_t ticks = axis_ticks(0.0, 3.7 * scale).size();
    EXPECT_GE(ticks, 3U);
    EXPECT_LE(ticks, 8U);
  }
}

TEST(Chart, DrawsWhatThereIs) {
  Chart chart;
  chart.title = "a < b & c";
  chart.x_title = "cells";
  chart.y_title = "log-odds, nats";
  const double nan = std::numeric_limits<double>::quiet_NaN();
  chart.series.push_back({.name = "first",
                          .x = {0, 1, 2, 3},
                          .y = {1, nan, 2, 3},
                          .error = {0.1, 0.1, 0.0, 0.2},
                          .labels = {},
                          .dashed = true});
  chart.series.push_back(
      {.name = "", .x = {1}, .y = {2}, .error = {}, .labels = {"beta 1"}, .line = false});
  const std::string svg = chart.svg();
  for (const char* text : {"<svg xmlns=", "a &lt; b &amp; c", ">cells<", ">log-odds, nats<",
                           "stroke-dasharray", ">first<", ">beta 1<", "</svg>"})
    EXPECT_NE(svg.find(text), std::string::npos) << text;
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
  // The line is broken where there is no number.
  EXPECT_NE(svg.find(" M", svg.find("<path d=\" M") + 10), std::string::npos);
}

TEST(Chart, OneValueHasAnAxis) {
  Chart chart;
  chart.series.push_back({.name = "one", .x = {5}, .y = {0}, .error = {}, .labels = {}});
  EXPECT_NE(chart.svg().find("<circle"), std::string::npos);
  chart.y_per_x = 2.0;
  EXPECT_NE(chart.svg().find("<circle"), std::string::npos);
}

TEST(Chart, DecadesLeaveOutWhatIsNotPositive) {
  Chart chart;
  chart.y_log = true;
  chart.series.push_back({.name = "s", .x = {0, 1, 2, 3}, .y = {1e-4, 0.0, 10.0, -1.0}});
  std::string svg = chart.svg();
  for (const char* tick : {">0.0001<", ">0.01<", ">10<"})
    EXPECT_NE(svg.find(tick), std::string::npos) << tick;
  EXPECT_EQ(svg.find(">2<"), svg.rfind(">2<")) << "of the x axis alone";
  // Within few decades also at 2 and 5.
  chart.series[0].y = {3.0, 4.0, 10.0, 25.0};
  svg = chart.svg();
  for (const char* tick : {">5<", ">10<", ">20<"})
    EXPECT_NE(svg.find(tick), std::string::npos) << tick;
}

TEST(Chart, MarksTellSeriesApart) {
  Chart chart;
  for (int i = 0; i < 8; ++i)
    chart.series.push_back({.name = "s", .x = {0.0 + i}, .y = {1}, .line = false});
  chart.series.push_back({.name = "c", .x = {1}, .y = {1}, .cross = true, .color = "#123456"});
  const std::string svg = chart.svg();
  // The eighth has the colour of the first, hollow.
  EXPECT_NE(svg.find("fill=\"white\" stroke=\"#0072b2\""), std::string::npos);
  EXPECT_NE(svg.find("stroke=\"#123456\" stroke-width=\"2\""), std::string::npos);
}

TEST(Chart, LabelsLieOnNoOther) {
  Chart chart;
  chart.series.push_back({.name = "", .x = {0, 10}, .y = {0, 10}, .line = false});
  const std::vector<double> place(5, 5.0);
  chart.series.push_back({.name = "",
                          .x = place,
                          .y = place,
                          .labels = {"one", "two", "three", "four", "five"},
                          .line = false});
  const std::string svg = chart.svg();
  std::set<std::string> places;
  for (const char* const label : {">one<", ">two<", ">three<", ">four<", ">five<"}) {
    const size_t at = svg.rfind(label);
    ASSERT_NE(at, std::string::npos) << label;
    const size_t start = svg.rfind("<text", at);
    const std::string before = svg.substr(start, at - start);
    places.insert(before.substr(0, before.find(" fill")));
  }
  EXPECT_EQ(places.size(), 5U) << "five places of one point's labels";
}

TEST(Chart, ColoursMayBeChosenByTheirPlace) {
  Chart chart;
  chart.series.push_back({.name = "second", .x = {0, 1}, .y = {0, 1}, .place = 1});
  chart.series.push_back({.name = "next", .x = {0, 1}, .y = {1, 0}});
  const std::string svg = chart.svg();
  EXPECT_LT(svg.find("#d55e00"), svg.find("#0072b2"));
}

TEST(Chart, LinesMayBeDottedAndPointsLargeOrHollow) {
  Chart chart;
  chart.series.push_back({.name = "d", .x = {0, 1}, .y = {0, 1}, .dotted = true, .size = 2.0});
  chart.series.push_back({.name = "h", .x = {0}, .y = {1}, .line = false, .hollow = true});
  chart.series.push_back({.name = "the legend alone", .dashed = true});
  const std::string svg = chart.svg();
  EXPECT_NE(svg.find(R"(stroke-dasharray="0.1 4" stroke-linecap="round")"), std::string::npos);
  EXPECT_NE(svg.find(R"(r="5.6")"), std::string::npos);
  EXPECT_NE(svg.find(R"(r="2.8" fill="white" stroke="#d55e00")"), std::string::npos);
  EXPECT_NE(svg.find(">the legend alone<"), std::string::npos);
  EXPECT_EQ(svg.find("d=\"\""), std::string::npos) << "no path without a point";
}

TEST(Chart, PlacesOfTheAxisMayHaveNames) {
  Chart chart;
  chart.x_names = {"0", "1/4", "inf"};
  chart.series.push_back({.name = "", .x = {0, 2}, .y = {5, 6}});
  const std::string svg = chart.svg();
  // Places 0, 1, 2 of an axis from -0.5 to 2.5 over 476 pixels from 68 on.
  for (const char* text : {R"(x="147.3" y="344.0" text-anchor="middle">0<)",
                           R"(x="306.0" y="344.0" text-anchor="middle">1/4<)",
                           R"(x="464.7" y="344.0" text-anchor="middle">inf<)"})
    EXPECT_NE(svg.find(text), std::string::npos) << text;
}

TEST(Chart, LeavesOutPointsBeyondARangeThatWasAskedFor) {
  Chart chart;
  chart.x_high = 1.0;
  chart.series.push_back(
      {.name = "", .x = {0.5, 7}, .y = {1, 1}, .labels = {"in", "out"}, .line = false});
  const std::string svg = chart.svg();
  EXPECT_NE(svg.find(">in<"), std::string::npos);
  EXPECT_EQ(svg.find(">out<"), std::string::npos);
  EXPECT_EQ(svg.find("<circle"), svg.rfind("<circle"));
}

TEST(Chart, RefusesWhatItCannotDraw) {
  Chart chart;
  testing::expect_error(ErrorKind::usage, "no finite point", [&] { chart.svg(); });
  chart.series.push_back({.name = "s", .x = {1, 2}, .y = {1}, .error = {}, .labels = {}});
  testing::expect_error(ErrorKind::usage, "different lengths", [&] { chart.svg(); });
}

}  // namespace
}  // namespace pal
