#include <fmt/format.h>
#include <gtest/gtest.h>

#include "experiments/comparison/orderings.h"
#include "experiments/comparison/run_figures.h"
#include "experiments/comparison/run_measures.h"
#include "runtime/error.h"
#include "tests/experiments/sweep_runs.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

using namespace testing;
using Verdict = Ordering::Verdict;

/// A run in a folder of its own.
RunRecord run_in(const TemporaryFolder& folder, double beta, uint64_t seed = 0) {
  RunRecord run = run_of(beta, seed, {{"noise_free", {{"acc1", 0.8}}}});
  run.path = folder.path();
  return run;
}

/// influence(k, l) of a map of 2 x 2.
std::string dct_csv(double first, double across, double upwards, double both) {
  return fmt::format("vertical,horizontal,influence\n0,0,{}\n0,1,{}\n1,0,{}\n1,1,{}\n", first,
                     across, upwards, both);
}

TEST(FigureOrderings, ComponentsOfThePooling) {
  const TemporaryFolder folder, other;
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

TEST(FigureOrderings, WidthsOfReceptiveFields) {
  const TemporaryFolder folders[4];
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

TEST(FigureOrderings, PlanesKeepMostOfTheAccuracy) {
  const TemporaryFolder folder;
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

TEST(FigureOrderings, AlikeClassesAreNear) {
  const TemporaryFolder folder, other;
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

TEST(FigureOrderings, BrokenFilesAreNamed) {
  const TemporaryFolder folder;
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

}  // namespace
}  // namespace pal
