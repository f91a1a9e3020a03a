#include "experiments/command_line/parse_options.h"

#include <gtest/gtest.h>

#include "experiments/command_line/build_facts.h"
#include "experiments/command_line/program.h"
#include "tests/experiments/example_table.h"
#include "tests/support/error_text.h"

namespace pal {
namespace {

using testing::ExampleTable;
using testing::usage_error;
using Arguments = std::vector<std::string>;

std::string error_of(const Arguments& arguments) {
  ExampleTable example;
  return usage_error([&] { example.parse(arguments); });
}

/// What a command line prints in answer; empty if it is not a question.
std::string answer_of(OptionTable& table, const Arguments& arguments) {
  ::testing::internal::CaptureStdout();
  const bool answered = ExampleTable::parse_arguments(table, arguments).answered;
  std::fflush(stdout);
  const std::string text = ::testing::internal::GetCapturedStdout();
  EXPECT_EQ(answered, !text.empty());
  return text;
}

std::string answer_of(const Arguments& arguments) {
  ExampleTable example;
  return answer_of(example.table, arguments);
}

TEST(ParseOptions, TogglesInEveryForm) {
  const auto flip = [](const Arguments& arguments) {
    ExampleTable example;
    example.flip = false;
    example.parse(arguments);
    EXPECT_EQ(example.folder, "");
    return example.flip;
  };
  EXPECT_FALSE(flip({}));
  EXPECT_TRUE(flip({"--flip"}));
  EXPECT_TRUE(flip({"--flip", "true"}));
  EXPECT_TRUE(flip({"--flip=true"}));
  EXPECT_TRUE(flip({"--no-flip", "--flip"}));
  EXPECT_TRUE(flip({"--flip", "--flip"}));
  EXPECT_TRUE(flip({"--no-flip=false"}));
  EXPECT_FALSE(flip({"--flip", "--no-flip"}));
  EXPECT_FALSE(flip({"--flip", "false"}));
  EXPECT_FALSE(flip({"--flip=false"}));
  EXPECT_FALSE(flip({"--flip=true", "--flip", "false"}));
  EXPECT_EQ(error_of({"--flip=maybe"}), "--flip: expected true or false, got 'maybe'");
}

TEST(ParseOptions, ABareToggleLeavesTheArgumentAfterIt) {
  ExampleTable example;
  example.parse({"--flip", "photos"});
  EXPECT_EQ(example.folder, "photos");
  EXPECT_TRUE(example.table.at("flip").is_given());
}

TEST(ParseOptions, ListsHaveCommasOrSpacesAndEndBeforeTheNextArgument) {
  const auto list = [](const Arguments& arguments) {
    ExampleTable example;
    example.parse(arguments);
    EXPECT_EQ(example.folder, "photos");
    return example.table.at("mean").text();
  };
  EXPECT_EQ(list({"--mean", "0.1,0.2,0.3", "photos"}), "0.1,0.2,0.3");
  EXPECT_EQ(list({"--mean=0.1,0.2,0.3", "photos"}), "0.1,0.2,0.3");
  EXPECT_EQ(list({"--mean", "0.1", "0.2", "0.3", "photos"}), "0.1,0.2,0.3");
  EXPECT_EQ(list({"photos", "--mean", "0.1", "0.2", "--flip"}), "0.1,0.2");
  EXPECT_EQ(error_of({"--scale", "0.1", "0.2", "0.3"}),
            "--scale: expected 2 numbers, got '0.1,0.2,0.3'");
}

TEST(ParseOptions, ValuesComeAfterASpaceOrASignAndMayBeNegative) {
  ExampleTable example;
  example.parse({"--batch-size=8", "--offset", "-2.5", "--threads", "-3", "--lr", "1"});
  EXPECT_EQ(example.batch, 8);
  EXPECT_EQ(example.offset, -2.5);
  EXPECT_EQ(example.threads, -3);
  EXPECT_EQ(error_of({"--lr", "-1"}), "--lr: expected a number of at least 0, got '-1'");
}

TEST(ParseOptions, LettersStandAloneOrTogether) {
  ExampleTable example;
  example.parse({"-vb8", "-o", "out"});
  EXPECT_TRUE(example.verbose);
  EXPECT_EQ(example.batch, 8);
  EXPECT_EQ(example.output, "out");
  ExampleTable other;
  other.parse({"-vo", "out", "-b", "4"});
  EXPECT_EQ(other.output, "out");
  EXPECT_EQ(other.batch, 4);
  EXPECT_EQ(error_of({"-vz"}), "-z: unknown option; see --help");
  EXPECT_EQ(error_of({"-bx"}), "--batch-size: expected a whole number of at least 1, got 'x'");
}

TEST(ParseOptions, AfterTwoDashesAllIsArgument) {
  ExampleTable example;
  example.parse({"-v", "--", "--flip"});
  EXPECT_EQ(example.folder, "--flip");
  EXPECT_FALSE(example.table.at("flip").is_given());
  EXPECT_EQ(error_of({"--", "--flip", "true"}), "true: unexpected argument; see --help");
  ExampleTable help;
  EXPECT_FALSE(help.parse({"--", "--help"}).answered);
  EXPECT_EQ(help.folder, "--help");
}

TEST(ParseOptions, MissingValues) {
  EXPECT_EQ(error_of({"--lr"}), "--lr: expected a number of at least 0 after it");
  EXPECT_EQ(error_of({"--lr="}), "--lr: expected a number of at least 0 after it");
  EXPECT_EQ(error_of({"-b"}), "--batch-size: expected a whole number of at least 1 after it");
  EXPECT_EQ(error_of({"--pace"}), "--pace: expected one of slow, quick after it");
  EXPECT_EQ(error_of({"--lr", "--flip"}),
            "--lr: expected a number of at least 0 after it, got the option --flip");
  EXPECT_EQ(error_of({"--output", "--seed=3"}),
            "--output: expected RUN after it, got the option --seed=3");
  EXPECT_EQ(error_of({"-o", "-v", "photos"}), "--output: expected RUN after it, got the option -v");
}

TEST(ParseOptions, OnceIsEnough) {
  EXPECT_EQ(error_of({"--lr", "1", "--lr", "2"}), "--lr: given 2 times, with '1' and '2'");
  EXPECT_EQ(error_of({"-b1", "--batch-size", "1"}),
            "--batch-size: given 2 times, with '1' and '1'");
  ExampleTable example;
  example.parse({"--set", "a=1", "photos", "--set", "b=2", "--between", "x", "y"});
  EXPECT_EQ(example.sets, Arguments({"a=1", "b=2"}));
  EXPECT_EQ(example.pair, Arguments({"x", "y"}));
  EXPECT_EQ(error_of({"--between", "x"}), "--between: expected 2 values after it, got 'x'");
}

TEST(ParseOptions, UnknownOptionsAreAnsweredWithTheRightOne) {
  EXPECT_EQ(error_of({"--learning-rate", "3"}), "--learning-rate: unknown option; use --lr");
  EXPECT_EQ(error_of({"--learning-rate=3"}), "--learning-rate: unknown option; use --lr");
  EXPECT_EQ(error_of({"--data", "photos"}), "--data: unknown option; use the argument DIR");
  EXPECT_EQ(error_of({"--bach-size", "3"}),
            "--bach-size: unknown option; did you mean --batch-size?");
  EXPECT_EQ(error_of({"-flip"}), "-flip: unknown option; did you mean --flip?");
  EXPECT_EQ(error_of({"--b", "3"}), "--b: unknown option; use -b");
  EXPECT_EQ(error_of({"--hepl"}), "--hepl: unknown option; did you mean --help?");
  EXPECT_EQ(error_of({"--something-else"}), "--something-else: unknown option; see --help");
}

TEST(ParseOptions, UnknownOptionsComeBeforeOtherComplaints) {
  const std::string unknown = "--bogus: unknown option; see --help";
  EXPECT_EQ(error_of({"--lr", "0x", "--bogus"}), unknown);
  EXPECT_EQ(error_of({"--lr", "1", "--lr", "2", "--bogus", "3"}), unknown);
  EXPECT_EQ(error_of({"--bogus", "3", "--pace", "other"}), unknown);
  EXPECT_EQ(error_of({"--output", "--flip", "--bogus"}), unknown);
  EXPECT_EQ(error_of({"--bogus", "--lr"}), unknown);
  EXPECT_EQ(error_of({"--bogus", "--between", "x"}), unknown);
}

TEST(ParseOptions, ArgumentsBeyondThoseThereAre) {
  EXPECT_EQ(error_of({"a", "b"}), "b: unexpected argument; see --help");
  EXPECT_EQ(error_of({"a", "-"}), "-: unexpected argument; see --help");
  EXPECT_EQ(error_of({"-5"}), "-5: unknown option; see --help");
  Arguments files;
  OptionTable table("pal-files", "Any number of them.");
  table.positionals("FILE", files, "Files");
  ExampleTable::parse_arguments(table, {"a", "[b,c]", "--", "-d", "--"});
  EXPECT_EQ(files, Arguments({"a", "[b,c]", "-d", "--"}));
}

TEST(ParseOptions, Questions) {
  EXPECT_NE(answer_of({"--help"}).find("Usage: pal-example [OPTIONS] [DIR]\n"), std::string::npos);
  EXPECT_NE(answer_of({"-h", "--bogus"}).find("Usage: "), std::string::npos);
  EXPECT_NE(answer_of({"-vh"}).find("Usage: "), std::string::npos);
  EXPECT_EQ(answer_of({"--version"}),
            "pal-example (Palindrome) " + version() + "\n" + build_facts());
  EXPECT_TRUE(answer_of({"--man"}).starts_with(".TH pal-example 1 "));
  const std::string completion = answer_of({"--completion", "bash"});
  EXPECT_EQ(answer_of({"--completion=bash"}), completion);
  EXPECT_EQ(answer_of({"--completion"}), completion);
  for (const Arguments& other : {Arguments{"--completion", "zsh"}, Arguments{"--completion=zsh"}})
    EXPECT_EQ(error_of(other), "--completion: expected bash, got 'zsh'");
}

/// A program with two commands of their own options, and one of its own.
struct Commands {
  bool quiet = false;
  int64_t count = 0;
  std::string file;
  OptionTable table{"pal-tool", "Has commands."};

  Commands() {
    table.toggle("quiet", quiet, "Less").letter('q');
    OptionTable& check = table.command("check", "Checks a file.");
    check.positional("FILE", file, "The file");
    check.whole("count", count, "How many").at_least(1);
    table.command("list", "Lists.").toggle("long", quiet, "More of each");
  }
};

TEST(ParseOptions, CommandsHaveTheirOwnOptions) {
  Commands tool;
  const ParsedCommand parsed =
      ExampleTable::parse_arguments(tool.table, {"check", "a", "--count", "3"});
  EXPECT_FALSE(parsed.answered);
  EXPECT_EQ(parsed.table, &tool.table.commands().front());
  EXPECT_EQ(tool.file, "a");
  EXPECT_EQ(tool.count, 3);
  Commands none;
  EXPECT_EQ(ExampleTable::parse_arguments(none.table, {"-q"}).table, &none.table);
  EXPECT_TRUE(none.quiet);
  const auto error = [](const Arguments& arguments) {
    Commands commands;
    return usage_error([&] { ExampleTable::parse_arguments(commands.table, arguments); });
  };
  EXPECT_EQ(error({"list", "--count", "3"}), "--count: unknown option; see --help");
  EXPECT_EQ(error({"list", "--count=3"}), "--count: unknown option; see --help");
  EXPECT_EQ(error({"check", "--coutn", "3"}), "--coutn: unknown option; did you mean --count?");
  EXPECT_EQ(error({"chekc"}), "chekc: unexpected argument; see --help");
}

TEST(ParseOptions, CommandsAnswerForThemselves) {
  Commands one;
  const std::string help = answer_of(one.table, {"check", "--help"});
  EXPECT_NE(help.find("Usage: pal-tool check [OPTIONS] [FILE]"), std::string::npos);
  EXPECT_EQ(help.find("--long"), std::string::npos);
  Commands two;
  EXPECT_EQ(answer_of(two.table, {"check", "--version"}),
            "pal-tool (Palindrome) " + version() + "\n" + build_facts());
  Commands three;
  EXPECT_NE(answer_of(three.table, {"--man"}).find(".SH pal\\-tool check\n"), std::string::npos);
}

}  // namespace
}  // namespace pal
