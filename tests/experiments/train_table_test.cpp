#include "experiments/recipe/train_table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "experiments/command_line/options_file.h"
#include "experiments/recipe/training_recipe.h"
#include "runtime/json.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

using testing::TemporaryFolder;
using testing::usage_error;

/// The options of pal-train as a new process has them.
struct Fresh {
  TrainOptions options;
  OptionTable table{"pal-train", "Trains."};

  Fresh() { add_train_options(table, options); }
  explicit Fresh(const std::string& arch) : Fresh() { set("arch", arch); }

  void set(const std::string& name, const std::string& text) {
    table.at(name).set(text, Origin::command, "--" + name);
  }
  void finish() { finish_train_options(table, options); }
  bool flow() const { return preset(options.arch).family == ModelFamily::flow; }
  std::string config() const { return effective_config(table, flow()); }
};

std::string refusal(Fresh& fresh, const std::string& name, const std::string& text) {
  return usage_error([&] { fresh.set(name, text); });
}

TEST(TrainTable, NamesAndLettersAreThereOnceWithHelpAndGroup) {
  const Fresh fresh;
  std::set<std::string> names;
  std::set<char> letters;
  for (const Option& option : fresh.table.options()) {
    EXPECT_TRUE(names.insert(option.name()).second) << option.name();
    if (option.short_name() != 0) {
      EXPECT_TRUE(letters.insert(option.short_name()).second) << option.name();
    }
    EXPECT_FALSE(option.help().empty()) << option.name();
    EXPECT_NE(option.help().back(), '.') << option.name();
    EXPECT_FALSE(option.group().empty()) << option.name();
    EXPECT_NE(option.group(), "Options") << option.name();
  }
  for (const auto& [word, answer] : fresh.table.synonyms()) {
    EXPECT_FALSE(names.contains(word)) << word;
    const std::string flag = answer.substr(0, answer.find_first_of(" ,:"));
    const bool question = flag == "--help" || flag == "--version";
    if (flag.starts_with("--") && !question) {
      EXPECT_TRUE(names.contains(flag.substr(2))) << answer;
    }
  }
}

TEST(TrainTable, OptionsAcceptTheirDefaultsAndTheirWords) {
  const Fresh defaults;
  for (const Option& option : defaults.table.options()) {
    if (option.text().empty()) continue;
    Fresh fresh;
    EXPECT_EQ(refusal(fresh, option.name(), option.text()), "no error");
    EXPECT_EQ(fresh.table.at(option.name()).text(), option.text());
  }
  for (const Option& option : defaults.table.options())
    for (const std::string& word : option.values()) {
      Fresh fresh;
      EXPECT_EQ(refusal(fresh, option.name(), word), "no error");
      EXPECT_EQ(fresh.table.at(option.name()).text(), word);
    }
}

TEST(TrainTable, ArchitecturesFinishWithTheDefaultsThatTheHelpTells) {
  for (const std::string& arch : preset_names()) {
    Fresh fresh(arch);
    fresh.finish();
    for (const Option& option : fresh.table.options()) {
      const std::string text = option.architecture_default(arch);
      if (text.empty()) continue;
      Fresh alone;
      EXPECT_EQ(refusal(alone, option.name(), text), "no error");
      EXPECT_EQ(option.text(), alone.table.at(option.name()).text()) << arch;
      EXPECT_EQ(option.origin(), Origin::architecture);
      EXPECT_NE(option.default_text().find(arch), std::string::npos) << option.name();
    }
  }
}

/// A configuration that was written reads as the same options.
void expect_round_trip(Fresh& given) {
  given.finish();
  const TemporaryFolder folder;
  Fresh read;
  apply_config_file(read.table, folder.write("config.toml", given.config()), Origin::file);
  read.finish();
  for (const Option& option : given.table.options()) {
    if (!option.is_saved() || !OptionTable::has_effect(option, given.flow())) continue;
    EXPECT_EQ(read.table.at(option.name()).text(), option.text()) << option.name();
  }
  EXPECT_EQ(read.config(), given.config());
  EXPECT_EQ(parse_json(options_json(read.table, given.flow())),
            parse_json(options_json(given.table, given.flow())));
}

TEST(TrainTable, ConfigurationsReadAsTheyWereWritten) {
  for (const std::string& arch : preset_names()) {
    SCOPED_TRACE(arch);
    Fresh fresh(arch);
    expect_round_trip(fresh);
  }
  for (const char* arch : {"ibinn-imagenet", "ibinn-small", "ibinn-mnist"}) {
    SCOPED_TRACE(arch);
    Fresh fresh(arch);
    fresh.set("flavour", "paper");
    EXPECT_EQ(fresh.table.at("act-norm").text(), "paper");
    expect_round_trip(fresh);
  }
}

TEST(TrainTable, ConfigurationsReadAsTheyWereWrittenWhateverIsGiven) {
  Fresh fresh("ibinn-small");
  for (const auto& [name, text] :
       std::initializer_list<std::pair<const char*, const char*>>{{"dataset", "synthetic:3:64"},
                                                                  {"seed", "18446744073709551615"},
                                                                  {"beta", "inf"},
                                                                  {"lr", "1e-07"},
                                                                  {"lr-mu", "0.5"},
                                                                  {"clip-grad", "none"},
                                                                  {"sched", "one-cycle"},
                                                                  {"max-time", "2h"},
                                                                  {"max-steps", "7"},
                                                                  {"memory-limit", "3GiB"},
                                                                  {"activation-memory", "512MiB"},
                                                                  {"stream-anchors", "none"},
                                                                  {"mean", "0.1,0.2,0.3"},
                                                                  {"mixing", "householder"},
                                                                  {"blocks", "2,1,1"},
                                                                  {"validation", "0.25"}})
    fresh.set(name, text);
  expect_round_trip(fresh);
}

TEST(TrainTable, NothingOfFlowsInAResNetsConfiguration) {
  for (const char* arch : {"resnet50", "resnet-small"}) {
    Fresh fresh(arch);
    fresh.finish();
    const auto json = parse_json(options_json(fresh.table, false));
    size_t flows = 0;
    for (const Option& option : fresh.table.options()) {
      if (option.families() != Families::flows) continue;
      ++flows;
      EXPECT_FALSE(json.contains(option.name())) << option.name();
    }
    EXPECT_GT(flows, 15);
    for (const char* name : {"beta", "lr-mu", "mixing", "flavour", "data-init"})
      EXPECT_FALSE(json.contains(name)) << name;
    EXPECT_TRUE(json.contains("widths"));
  }
}

TEST(TrainTable, WhatOnlyFlowsHaveIsRefusedForAResNet) {
  const Fresh defaults;
  for (const Option& option : defaults.table.options()) {
    if (option.families() != Families::flows) continue;
    Fresh fresh("resnet50");
    fresh.set(option.name(), option.text());
    EXPECT_EQ(usage_error([&] { fresh.finish(); }),
              option.flag() +
                  ": is an option of flows, and this is a ResNet; leave it out, or choose another "
                  "--arch");
  }
}

TEST(TrainTable, FieldsOfTheModelSayWhatTheyTake) {
  const auto error = [](const char* name, const char* text) {
    Fresh fresh;
    return refusal(fresh, name, text);
  };
  EXPECT_EQ(error("gin", "maybe"), "--gin: expected true or false, got 'maybe'");
  EXPECT_EQ(error("blocks", "1.5"),
            "--blocks: expected whole numbers with commas between them, got '1.5'");
  EXPECT_EQ(error("blocks", "0,1"),
            "--blocks: expected numbers from 1 to 10000, with commas between them, got '0'");
  EXPECT_EQ(error("rank", "18446744073709551615"),
            "--rank: expected a smaller number, got '18446744073709551615'");
  EXPECT_EQ(error("clamp", "0"), "--clamp: expected a number above 0, got '0'");
  EXPECT_EQ(error("mixing", "householdr"),
            "--mixing: expected one of none, swap, permutation, orthogonal, householder, conv1x1, "
            "got 'householdr'; did you mean householder?");
}

/// The numbers of updates of an architecture with these options.
UpdateOptions update_of(const std::string& arch,
                        const std::vector<std::pair<const char*, const char*>>& given) {
  Fresh fresh(arch);
  for (const auto& [name, text] : given) fresh.set(name, text);
  fresh.finish();
  return fresh.options.update;
}

TEST(TrainTable, AnotherOptimizerHasItsOwnRate) {
  const UpdateOptions adamw =
      update_of("ibinn-imagenet", {{"opt", "adamw"}, {"betas", "0.8,0.95"}});
  EXPECT_EQ(adamw.learning_rate, 0.001);
  EXPECT_EQ(adamw.learning_rate_means, 0.001);
  EXPECT_EQ(adamw.beta1, 0.8);
  EXPECT_EQ(adamw.beta2, 0.95);
  EXPECT_EQ(update_of("ibinn-imagenet", {{"opt", "adamw"}, {"lr", "0.02"}}).learning_rate, 0.02);
  const UpdateOptions sgd = update_of("ibinn-mnist", {{"opt", "sgd"}});
  EXPECT_EQ(sgd.learning_rate, 0.05);
  EXPECT_EQ(sgd.learning_rate_means, 0.05);
  EXPECT_EQ(update_of("ibinn-mnist", {{"opt", "sgd"}, {"lr-mu", "0.3"}}).learning_rate_means, 0.3);
}

TEST(TrainTable, RateOfTheMeansFollowsTheNetworks) {
  EXPECT_EQ(update_of("ibinn-imagenet", {}).learning_rate_means, 0.07);
  const UpdateOptions small = update_of("ibinn-small", {});
  EXPECT_EQ(small.learning_rate, 0.003);
  EXPECT_EQ(small.learning_rate_means, 0.02);
  EXPECT_EQ(update_of("ibinn-small", {{"lr-mu", "0.5"}}).learning_rate_means, 0.5);
}

TEST(TrainingRecipe, RecordsWhatDecidesNumbersAndReadsItBack) {
  for (const std::string& arch : preset_names()) {
    Fresh fresh(arch);
    fresh.set("dataset", "synthetic:3:64");
    fresh.set("seed", "18446744073709551615");
    fresh.set("validation", "0.25");
    fresh.set("exclude-classes", "stripes 0,stripes 2");
    fresh.finish();
    const std::string json = recipe_json(fresh.table, fresh.options);
    const auto recorded = recorded_options(json, "a.safetensors");
    size_t count = 0;
    for (const Option& option : fresh.table.options()) {
      if (!option.is_recorded()) continue;
      ++count;
      EXPECT_EQ(recorded->table.at(option.name()).text(), option.text()) << option.name();
      EXPECT_EQ(recorded->table.at(option.name()).origin(), Origin::run) << option.name();
    }
    EXPECT_GT(count, 20);
    EXPECT_EQ(recorded->options.data.dataset, "synthetic:3:64");
    EXPECT_EQ(recipe_json(recorded->table, recorded->options), json);
  }
}

TEST(TrainingRecipe, ReadsOlderOnes) {
  const auto recorded = recorded_options(
      R"({"dataset": "fashion-mnist", "beta": "4", "lr": "0.05", "lr-mu": 0.07, "flip": "false",
          "batch-size": "64", "crop-scale": [0.5, 1], "crop-ratio": "0.75,1.5", "forgotten": [{}],
          "output": "elsewhere"})",
      "a.safetensors");
  const TrainOptions& options = recorded->options;
  EXPECT_EQ(options.data.dataset, "fashion-mnist");
  EXPECT_EQ(options.beta, 4);
  EXPECT_EQ(options.update.learning_rate, 0.05);
  EXPECT_EQ(options.lr_means, 0.07);
  EXPECT_FALSE(options.flip);
  EXPECT_EQ(options.batch_size, 64);
  EXPECT_EQ(options.crop_scale, (std::vector<double>{0.5, 1}));
  EXPECT_EQ(options.crop_ratio, (std::vector<double>{0.75, 1.5}));
  EXPECT_EQ(options.output, TrainOptions().output);
  EXPECT_EQ(options.shift, TrainOptions().shift);
  const auto plain = recorded_options(R"({"beta": "inf", "lr-mu": "lr"})", "a.safetensors");
  EXPECT_TRUE(std::isinf(plain->options.beta));
  EXPECT_LT(plain->options.lr_means, 0);
}

TEST(TrainingRecipe, BrokenOnesNameTheFile) {
  const auto error = [](const char* json) {
    return testing::data_error([&] { recorded_options(json, "a.safetensors"); });
  };
  const std::string where = "a.safetensors: the metadata entry recipe";
  for (const char* text : {"", "{", "[]", "3", "null"})
    EXPECT_EQ(error(text), where + " is no JSON object");
  EXPECT_EQ(error(R"({"lr": -1})"), where + ": lr: expected a number of at least 0, got '-1'");
  EXPECT_EQ(error(R"({"flip": null})"), where + ": flip: expected true or false, got 'null'");
}

}  // namespace
}  // namespace pal
