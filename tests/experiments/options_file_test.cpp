#include "experiments/command_line/options_file.h"

#include <gtest/gtest.h>

#include "runtime/json.h"
#include "tests/experiments/example_table.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

using testing::ExampleTable;
using testing::TemporaryFolder;

void apply(ExampleTable& example, const std::string& toml, Origin origin = Origin::file) {
  const TemporaryFolder folder;
  apply_config_file(example.table, folder.write("a.toml", toml), origin);
}

/// The error of a file, without its folder.
std::string error_of(const std::string& toml, Origin origin = Origin::file) {
  ExampleTable example;
  const std::string text = testing::usage_error([&] { apply(example, toml, origin); });
  const size_t name = text.find("a.toml");
  return name == std::string::npos ? text : text.substr(name);
}

TEST(OptionsFile, SetsEveryKind) {
  ExampleTable example;
  apply(example, R"(# A comment
flip = false
batch-size = 16
anchors = "none"
lr = 1e-5
offset = -2
beta = inf
scale = [0.5, 1]
mean = "0.1,0.2"
blocks = [3]
output = "a b"
max-time = "90"
pace = "quick"
seed = "18446744073709551615"
)");
  EXPECT_FALSE(example.flip);
  EXPECT_EQ(example.batch, 16);
  EXPECT_EQ(example.anchors, 0);
  EXPECT_EQ(example.rate, 1e-5);
  EXPECT_EQ(example.offset, -2);
  EXPECT_EQ(example.table.at("beta").text(), "inf");
  EXPECT_EQ(example.scale, (std::vector<double>{0.5, 1}));
  EXPECT_EQ(example.mean, (std::vector<float>{0.1F, 0.2F}));
  EXPECT_EQ(example.blocks, std::vector<int64_t>{3});
  EXPECT_EQ(example.output, "a b");
  EXPECT_EQ(example.time, 90);
  EXPECT_EQ(example.pace, testing::Pace::quick);
  EXPECT_EQ(example.seed, ~uint64_t{0});
  EXPECT_EQ(example.table.at("lr").origin(), Origin::file);
}

TEST(OptionsFile, TheCommandLineWins) {
  ExampleTable example;
  example.parse({"--lr", "0.5"});
  apply(example, "lr = 0.25\nbatch-size = 4");
  apply(example, "lr = 0.125\nbatch-size = 2\nseed = 3", Origin::run);
  EXPECT_EQ(example.rate, 0.5);
  EXPECT_EQ(example.batch, 4);
  EXPECT_EQ(example.seed, 3);
}

TEST(OptionsFile, ErrorsNameFileAndLine) {
  EXPECT_EQ(error_of("\nlr = \"0.1x\""),
            "a.toml:2: lr: expected a number of at least 0, got '0.1x'");
  EXPECT_EQ(error_of("batch-size = 1.5"),
            "a.toml:1: batch-size: expected a whole number of at least 1, got '1.5'");
  EXPECT_EQ(error_of("flip = 2"), "a.toml:1: flip: expected true or false, got '2'");
  EXPECT_EQ(error_of("mean = []"),
            "a.toml:1: mean: expected numbers from 0 to 1, with commas between them, got ''");
  EXPECT_EQ(error_of("lr = 2020-01-01"),
            "a.toml:1: lr: expected a text, a number, true, false or a list of these");
  EXPECT_EQ(error_of("\n\nbach-size = 3"),
            "a.toml:3: bach-size: unknown key; did you mean batch-size?");
  EXPECT_EQ(error_of("learning-rate = 3"), "a.toml:1: learning-rate: unknown key; use lr");
  EXPECT_EQ(error_of("data = \"photos\""), "a.toml:1: data: unknown key; use the argument DIR");
  EXPECT_EQ(error_of("something-else = 3"), "a.toml:1: something-else: unknown key");
  EXPECT_TRUE(error_of("\nlr 3").starts_with("a.toml:2: ")) << error_of("\nlr 3");
  EXPECT_TRUE(error_of("lr = 1\nlr = 2").starts_with("a.toml:2: ")) << error_of("lr = 1\nlr = 2");
  EXPECT_TRUE(error_of("\nlr = 0.1\n# \xff\n").starts_with("a.toml:3: "));
}

TEST(OptionsFile, QuestionsAreNoKeys) {
  ExampleTable example;
  example.parse({});
  EXPECT_NE(testing::usage_error([&] { apply(example, "help = true"); }).find("unknown key"),
            std::string::npos);
}

TEST(OptionsFile, OfARunPassesOverItsProcessAndWhatIsNotKnownAnyMore) {
  ExampleTable example;
  apply(example, "batch-size = 16\nthreads = 3\nverbose = true\nolder-option = 3", Origin::run);
  EXPECT_EQ(example.batch, 16);
  EXPECT_EQ(example.threads, 0);
  EXPECT_FALSE(example.verbose);
  EXPECT_EQ(example.table.at("batch-size").origin(), Origin::run);
  EXPECT_EQ(error_of("batch-size = 0", Origin::run),
            "a.toml:1: batch-size: expected a whole number of at least 1, got '0'");
}

TEST(OptionsFile, WhatIsWrittenReadsAsTheSame) {
  ExampleTable given;
  given.parse({"--no-flip",
               "--anchors",
               "none",
               "--threads",
               "-3",
               "--seed",
               "18446744073709551615",
               "--lr",
               "1e-300",
               "--offset",
               "-1e300",
               "--beta",
               "inf",
               "--mean",
               "0.1",
               "0.2",
               "--output",
               "a \"quoted\"\tname\\ # é",
               "--max-time",
               "1.5h",
               "--memory-limit",
               "3MB",
               "--pace",
               "quick"});
  const std::string text = effective_config(given.table, true);
  ExampleTable read;
  apply(read, text);
  for (const Option& option : read.table.options())
    EXPECT_EQ(option.text(), given.table.at(option.name()).text()) << option.name();
  EXPECT_EQ(effective_config(read.table, true), text);
  const auto json = parse_json(options_json(given.table, true));
  EXPECT_EQ(json["output"], given.output);
  EXPECT_EQ(json["lr"], 1e-300);
  EXPECT_EQ(json["mean"].size(), 2);
}

TEST(OptionsFile, LeavesOutWhatHasNoEffectOrNoValue) {
  ExampleTable example;
  example.table.at("share").only("with --flip", [&] { return example.flip; });
  example.table.at("seed").unsaved();
  example.flip = false;
  const auto resnet = parse_json(options_json(example.table, false));
  for (const char* name : {"share", "seed", "anchors", "mean", "memory-limit", "max-time"})
    EXPECT_FALSE(resnet.contains(name)) << name;
  EXPECT_TRUE(resnet.contains("lr"));
  EXPECT_TRUE(parse_json(options_json(example.table, true)).contains("anchors"));
  EXPECT_EQ(effective_config(example.table, false).find("\nanchors ="), std::string::npos);
}

}  // namespace
}  // namespace pal
