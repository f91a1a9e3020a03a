#include "experiments/report/published.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "experiments/evaluation/evaluate_options.h"
#include "experiments/report/evaluation_figures.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

constexpr double kEverything = std::numeric_limits<double>::infinity();

TEST(PublishedEvaluation, IsOfTheBetasThatThePaperHas) {
  // L_Y, top-1 % and OCE as they are printed.
  const struct {
    double beta, loss_y, acc1, oce;
  } printed[] = {{1.0, 8.52, 67.30, 3.87},        {2.0, 8.26, 71.73, 4.13},
                 {4.0, 8.14, 73.69, 4.31},        {8.0, 8.10, 74.59, 4.73},
                 {16.0, 8.06, 75.54, 4.15},       {32.0, 8.01, 76.18, 4.94},
                 {kEverything, 7.99, 76.27, 5.12}};
  for (const auto& row : printed) {
    const PublishedEvaluation* const found = published_evaluation(true, row.beta);
    ASSERT_NE(found, nullptr) << row.beta;
    EXPECT_NEAR(*found->ce, row.loss_y - std::log(1000.0), 0.005) << row.beta;
    EXPECT_EQ(found->acc1, row.acc1);
    EXPECT_EQ(found->oce, row.oce);
    // Table 2 has one constant, of the column bits_paper.
    EXPECT_NEAR(*found->bits_per_dim, *found->loss_x / std::log(2.0) + 7.078, 0.015) << row.beta;
  }
  const PublishedEvaluation* const density = published_evaluation(true, 0.0);
  ASSERT_NE(density, nullptr);
  EXPECT_EQ(density->bits_per_dim, 2.59);
  EXPECT_FALSE(density->ce || density->acc1 || density->oce);
  const PublishedEvaluation* const resnet = published_evaluation(false, 1.0);
  ASSERT_NE(resnet, nullptr);
  EXPECT_NEAR(*resnet->ce, 7.87 - std::log(1000.0), 0.005);
  EXPECT_FALSE(resnet->loss_x || resnet->bits_per_dim);
  EXPECT_EQ(published_evaluation(true, 3.0), nullptr);
  EXPECT_EQ(published_evaluation(true, std::nullopt), nullptr) << "beta is not known";
}

/// A report of two images, one of them right.
CheckpointReport report_of(bool has_density, std::optional<double> beta) {
  CheckpointReport report;
  report.checkpoint = "a.safetensors";
  report.dataset = "stripes";
  report.beta = beta;
  report.published = published_evaluation(has_density, beta);
  for (EvaluationResult* result : {&report.noisy, &report.clean}) {
    result->has_density = has_density;
    result->classwise.emplace(2);
    result->images.resize(2);
    result->images[0].confidence = 0.999;
    result->images[1].rank = 1;
    for (const double q : {0.999, 0.5}) {
      const std::vector<double> row = {q, 1.0 - q};
      result->calibration.add(row, 0);
      result->classwise->add(row, 0);
    }
    result->summary = summarize(result->images);
    result->summary.loss_x = -2.0;
  }
  report.loss_x_released = -2.5;
  return report;
}

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines(1);
  for (const uint8_t c : read_file(path)) {
    if (c == '\n')
      lines.emplace_back();
    else
      lines.back() += static_cast<char>(c);
  }
  lines.pop_back();
  return lines;
}

TEST(PublishedEvaluation, StandsBesideOursInCsv) {
  const testing::TemporaryFolder folder;
  write_figures(folder.file(""),
                {report_of(true, 4.0), report_of(true, 3.0), report_of(false, 1.0)});
  const auto table2 = lines_of(folder.file("table2.csv"));
  ASSERT_EQ(table2.size(), 4U);
  EXPECT_TRUE(table2[0].ends_with(
      ",acc1,acc5,oce_0.997,loss_x_released,bits_paper,loss_x_published,ce_published,"
      "bits_per_dim_published,acc1_published,oce_published"))
      << table2[0];
  EXPECT_TRUE(table2[1].ends_with(
      fmt::format(",-2.5,{},1.14,1.23,8.72,0.7369,4.31", bits_per_dim_paper(-2.5))))
      << table2[1];
  EXPECT_TRUE(table2[2].ends_with(",,,,,")) << "beta 3 was not published: " << table2[2];
  EXPECT_TRUE(table2[3].ends_with(",,,,0.96,,0.774,6.75")) << table2[3];
  for (const std::string& line : table2)
    EXPECT_EQ(std::ranges::count(line, ','), std::ranges::count(table2[0], ','));
  const auto table6 = lines_of(folder.file("table6.csv"));
  EXPECT_TRUE(table6[0].ends_with(",ece_published,mce_published,oce_published")) << table6[0];
  EXPECT_TRUE(table6[1].ends_with(",0.0016,0.0547,4.31")) << table6[1];
  EXPECT_TRUE(table6[2].ends_with(",,,")) << table6[2];
  EXPECT_TRUE(table6[3].ends_with(",0.0017,0.0772,6.75")) << table6[3];
  write_figures(folder.file("plain"), {report_of(true, 3.0)});
  EXPECT_TRUE(lines_of(folder.file("plain/table2.csv"))[0].ends_with(",acc1,acc5"));
}

TEST(PublishedEvaluation, IsSaidInTextAndJson) {
  const CheckpointReport report = report_of(true, 4.0);
  const std::string text = to_text({report});
  for (const char* wanted : {"published", "73.69", "8.72", "4.31",
                             "of ImageNet at 224 x 224, ten crops", "here of stripes, one crop"})
    EXPECT_NE(text.find(wanted), std::string::npos) << wanted << " in " << text;
  const auto json = nlohmann::json::parse(to_json(report)).at("published");
  EXPECT_EQ(json.at("ce"), 1.23);
  EXPECT_NEAR(json.at("acc1").get<double>(), 0.7369, 1e-12);
  EXPECT_TRUE(
      nlohmann::json::parse(to_json(report_of(true, 0.0))).at("published").at("ce").is_null());
  EXPECT_EQ(to_text({report_of(true, 3.0)}).find("published"), std::string::npos);
}

TEST(BetaOf, IsRecordedOrGiven) {
  EvaluateOptions options;
  options.checkpoints = {"a", "b"};
  TrainingRecipe recipe;
  EXPECT_EQ(beta_of(options, 1, recipe), std::nullopt);
  options.betas = {2.0, kEverything};
  EXPECT_EQ(beta_of(options, 1, recipe), kEverything);
  recipe.recorded = true;
  recipe.beta = 2.0;
  EXPECT_EQ(beta_of(options, 0, recipe), 2.0);
  EXPECT_THROW(beta_of(options, 1, recipe), Error);
  options.betas.clear();
  EXPECT_EQ(beta_of(options, 1, recipe), 2.0);
}

}  // namespace
}  // namespace pal
