#include "experiments/report/evaluation_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "experiments/recipe/training_recipe.h"
#include "experiments/report/text_table.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

CheckpointReport example() {
  CheckpointReport report;
  report.checkpoint = "a.safetensors";
  report.dataset = "stripes";
  report.split = "test";
  for (EvaluationResult* result : {&report.noisy, &report.clean}) {
    result->images.resize(2);
    result->images[0].confidence = 0.999;
    result->images[1].rank = 1;
    result->calibration.add(std::vector<double>{0.999, 0.001}, 0);
    result->summary = summarize(result->images);
    result->summary.bits_per_dim = 4.5;
  }
  return report;
}

TEST(EvaluationReport, HasTheKeysOfTheInterface) {
  CheckpointReport report = example();
  report.ood.push_back(
      compare_densities("other", OodReference({1.0, 2.0, 3.0}), {1.5, 2.5}, {9.0}));
  const auto json = nlohmann::json::parse(to_json(report));
  for (const char* key : {"acc1", "acc5", "loss_x", "loss_y", "ce", "bits_per_dim", "ece"})
    EXPECT_TRUE(json.at(key).is_number()) << key;
  EXPECT_EQ(json.at("images"), 2);
  EXPECT_EQ(json.at("acc1"), 0.5);
  EXPECT_EQ(json.at("oce").size(), 3U);
  EXPECT_EQ(json.at("oce")[0].at("confident"), 1);
  EXPECT_EQ(json.at("oce")[0].at("sufficient"), false);
  EXPECT_EQ(json.at("bins").size(), 17U);
  EXPECT_EQ(json.at("noise_free").at("bits_per_dim"), 4.5);
  EXPECT_EQ(json.at("ood_auc"), 1.0);
  EXPECT_EQ(json.at("ood")[0].at("tests")[0].at("auc"), 0.0) << "one-tailed: 9 is likely";
}

TEST(EvaluationReport, LeavesOutWhatWasNotMeasured) {
  const auto json = nlohmann::json::parse(to_json(example()));
  for (const char* key : {"ood", "ood_auc", "bits_per_dim_gaussian"})
    EXPECT_FALSE(json.contains(key)) << key;
  EXPECT_FALSE(json.at("noise_free").contains("bits_paper"));
  const std::string text = to_text({example()});
  EXPECT_NE(text.find("insufficient (1)"), std::string::npos);
  EXPECT_EQ(text.find("bits paper"), std::string::npos);
  EXPECT_EQ(text.find("outliers"), std::string::npos);
}

TEST(EvaluationReport, JoinsTheSummaryOfARun) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("summary.json");
  write_atomic(path, std::string(R"({"inversion_error": 0.5, "acc1": 7})"));
  merge_summary(path, example());
  const auto bytes = read_file(path);
  const auto json = nlohmann::json::parse(bytes);
  EXPECT_EQ(json.at("inversion_error"), 0.5);
  EXPECT_EQ(json.at("acc1"), 0.5);
  merge_summary(folder.file("new.json"), example());
  EXPECT_EQ(nlohmann::json::parse(read_file(folder.file("new.json"))).at("images"), 2);
  write_atomic(path, std::string("[1]"));
  EXPECT_THROW(merge_summary(path, example()), Error);
}

TEST(EvaluationReport, ShowsPublishedColumnsForThoseWhoHaveThem) {
  CheckpointReport report = example();
  report.bits_paper = 3.25;
  report.loss_x_released = -1.5;
  const std::string text = to_text({example(), report});
  EXPECT_NE(text.find("bits paper"), std::string::npos);
  EXPECT_NE(text.find("-1.5000"), std::string::npos);
}

TEST(EvaluationReport, ShowsTheTopFiveOfSixClasses) {
  CheckpointReport few = example();
  few.classes = 5;
  CheckpointReport more = example();
  more.classes = 6;
  EXPECT_EQ(to_text({few}).find("top-5"), std::string::npos);
  EXPECT_NE(to_text({more}).find("top-5"), std::string::npos);
  EXPECT_NE(to_text({few, more}).find("50.00        -"), std::string::npos) << to_text({few, more});
  EXPECT_TRUE(nlohmann::json::parse(to_json(few)).contains("acc5"));
}

TEST(EvaluationReport, SaysThatTheImagesChoseTheCheckpoint) {
  CheckpointReport report = example();
  EXPECT_EQ(nlohmann::json::parse(to_json(report)).at("chose_checkpoint"), false);
  EXPECT_EQ(to_text({report}).find("chose"), std::string::npos);
  report.split = "val";
  report.chose = ChoseCheckpoint::yes;
  EXPECT_NE(to_text({report}).find("val images of stripes (chose the checkpoint)"),
            std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(to_json(report)).at("chose_checkpoint"), true);
  report.chose = ChoseCheckpoint::perhaps;
  EXPECT_NE(to_text({report}).find("(perhaps chose the checkpoint)"), std::string::npos);
  EXPECT_TRUE(nlohmann::json::parse(to_json(report)).at("chose_checkpoint").is_null());
}

TEST(TextTable, AlignsColumns) {
  TextTable table({"name", "n"});
  table.add({"a", "1000"});
  table.add({"long one"});
  EXPECT_EQ(table.text(), "name         n\na         1000\nlong one");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(grouped(-123), "-123");
  EXPECT_EQ(grouped(100), "100");
}

TEST(TrainingRecipe, ReadsWhatACheckpointRecords) {
  Checkpoint checkpoint;
  EXPECT_EQ(training_recipe(checkpoint, "c").dataset, "");
  checkpoint.metadata["recipe"] =
      R"({"dataset": "digits", "beta": "inf", "smoothing": 0.1, "flip": true, "seed": 5})";
  const TrainingRecipe recipe = training_recipe(checkpoint, "c");
  EXPECT_EQ(recipe.dataset, "digits");
  EXPECT_TRUE(std::isinf(recipe.beta));
  EXPECT_EQ(recipe.smoothing, 0.1);
  EXPECT_TRUE(recipe.loader.flip);
  EXPECT_EQ(recipe.loader.seed, 5U);
  EXPECT_EQ(recipe.loader.batch_size, 128);
  for (const char* broken : {"[]", "{", R"({"flip": 3})", R"({"beta": "x"})",
                             R"({"crop-scale": [0.1, 0.2, 1]})", R"({"crop-ratio": 1})"}) {
    checkpoint.metadata["recipe"] = broken;
    EXPECT_THROW(training_recipe(checkpoint, "c"), Error) << broken;
  }
}

}  // namespace
}  // namespace pal
