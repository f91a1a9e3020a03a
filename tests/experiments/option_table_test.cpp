#include "experiments/command_line/option_table.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/error.h"
#include "runtime/json.h"
#include "tests/experiments/example_table.h"
#include "tests/support/error_text.h"

namespace pal {
namespace {

using testing::ExampleTable;
using testing::Pace;
using testing::usage_error;

void set(ExampleTable& example, const std::string& name, const std::string& text,
         Origin origin = Origin::command) {
  Option& option = example.table.at(name);
  option.set(text, origin, option.flag());
}

TEST(Option, EveryKindSetsItsVariableAndPrintsWhatItTakes) {
  struct Case {
    const char* name;
    const char* text;
    const char* printed;
    const char* literal;
  };
  const Case cases[] = {
      {"flip", "false", "false", "false"},
      {"verbose", "true", "true", "true"},
      {"batch-size", "+16", "16", "16"},
      {"anchors", "auto", "auto", "\"auto\""},
      {"anchors", "none", "none", "\"none\""},
      {"anchors", "4", "4", "4"},
      {"threads", "-3", "-3", "-3"},
      {"seed", "18446744073709551615", "18446744073709551615", "\"18446744073709551615\""},
      {"seed", "9223372036854775807", "9223372036854775807", "9223372036854775807"},
      {"lr", "1e-5", "1e-05", "1e-05"},
      {"lr", "+.5", "0.5", "0.5"},
      {"offset", "-2.50", "-2.5", "-2.5"},
      {"beta", "inf", "inf", "\"inf\""},
      {"beta", "4", "4", "4"},
      {"scale", "0.5,1", "0.5,1", "[0.5, 1]"},
      {"scale", "+0.5,+1e+0", "0.5,1", "[0.5, 1]"},
      {"mean", "0.1,0.2,0.3", "0.1,0.2,0.3", "[0.1, 0.2, 0.3]"},
      {"blocks", "7", "7", "[7]"},
      {"output", "+a \"b\"\\", "+a \"b\"\\", R"("+a \"b\"\\")"},
      {"output", "\xff", "\xff", R"("\\xff")"},
      {"memory-limit", "2KiB", "2048", "\"2048\""},
      {"memory-limit", "none", "", "\"\""},
      {"max-time", "2h", "7200s", "\"7200s\""},
      {"max-time", "1.5m", "90s", "\"90s\""},
      {"pace", "quick", "quick", "\"quick\""},
  };
  for (const Case& each : cases) {
    ExampleTable example;
    set(example, each.name, each.text);
    const Option& option = example.table.at(each.name);
    EXPECT_EQ(option.text(), each.printed) << each.name;
    EXPECT_EQ(option.literal(), each.literal) << each.name;
    EXPECT_FALSE(parse_json(option.literal()).is_discarded()) << each.name;
  }
  ExampleTable example;
  set(example, "pace", "quick");
  set(example, "anchors", "none");
  EXPECT_EQ(example.pace, Pace::quick);
  EXPECT_EQ(example.anchors, 0);
}

TEST(Option, ListsWithoutValuesAreEmptyBrackets) {
  EXPECT_EQ(ExampleTable().table.at("mean").literal(), "[]");
}

TEST(Option, TakesTheNumberThatAWordStandsForAndAllWordsForTrue) {
  ExampleTable example;
  // What older configuration files hold in place of auto.
  example.table.at("anchors").set("-1", Origin::file, "a.toml");
  EXPECT_EQ(example.table.at("anchors").text(), "auto");
  for (const char* yes : {"true", "True", "1", "yes", "ON"}) {
    set(example, "flip", yes);
    EXPECT_EQ(example.table.at("flip").text(), "true") << yes;
  }
  for (const char* no : {"false", "FALSE", "0", "no", "off"}) {
    set(example, "flip", no);
    EXPECT_EQ(example.table.at("flip").text(), "false") << no;
  }
}

TEST(Option, RefusesWhatDoesNotFitAndSaysWhatWould) {
  struct Case {
    const char* name;
    const char* text;
    const char* message;
  };
  const Case cases[] = {
      {"flip", "maybe", "expected true or false, got 'maybe'"},
      {"flip", "2", "expected true or false, got '2'"},
      {"batch-size", "0", "expected a whole number of at least 1, got '0'"},
      {"batch-size", "1.5", "expected a whole number of at least 1, got '1.5'"},
      {"batch-size", "1e3", "expected a whole number of at least 1, got '1e3'"},
      {"batch-size", "", "expected a whole number of at least 1, got ''"},
      {"batch-size", "8 ", "expected a whole number of at least 1, got '8 '"},
      {"batch-size", "0x8", "expected a whole number of at least 1, got '0x8'"},
      {"anchors", "-2", "expected a whole number of at least 1, or auto, or none, got '-2'"},
      {"anchors", "Auto", "expected a whole number of at least 1, or auto, or none, got 'Auto'"},
      {"threads", "many", "expected a whole number, or auto, got 'many'"},
      {"threads", "99999999999", "expected a smaller number, got '99999999999'"},
      {"seed", "-1", "expected a whole number of at least 0, got '-1'"},
      {"seed", "18446744073709551616",
       "expected a whole number of at least 0, got '18446744073709551616'"},
      {"lr", "0.1x", "expected a number of at least 0, got '0.1x'"},
      {"lr", "nan", "expected a number of at least 0, got 'nan'"},
      {"lr", "inf", "expected a number of at least 0, got 'inf'"},
      {"lr", "1e999", "expected a number of at least 0, got '1e999'"},
      {"offset", "+-1", "expected a number, got '+-1'"},
      {"offset", "++1", "expected a number, got '+1'"},
      {"share", "0", "expected a number above 0 to below 1, got '0'"},
      {"share", "1", "expected a number above 0 to below 1, got '1'"},
      {"beta", "infinity", "expected a number of at least 0, or inf, got 'infinity'"},
      {"scale", "0.5", "expected 2 numbers, got '0.5'"},
      {"scale", "0.5,1,2", "expected 2 numbers, got '0.5,1,2'"},
      {"scale", "0.5,", "expected numbers, with commas between them, got '0.5,'"},
      {"scale", "0.5;1", "expected numbers, with commas between them, got '0.5;1'"},
      {"mean", "0.5,1.5", "expected numbers from 0 to 1, with commas between them, got '1.5'"},
      {"blocks", "1,0", "expected numbers of at least 1, with commas between them, got '0'"},
      {"memory-limit", "2x", "expected bytes such as 512MiB, 2GB or 1073741824, got '2x'"},
      {"max-time", "2w", "expected seconds, or a number with s, m, h or d, got '2w'"},
      {"max-time", "-2", "expected seconds, or a number with s, m, h or d, got '-2'"},
      {"pace", "quik", "expected one of slow, quick, got 'quik'; did you mean quick?"},
      {"pace", "other", "expected one of slow, quick, got 'other'"},
  };
  for (const Case& each : cases) {
    ExampleTable example;
    const std::string before = example.table.at(each.name).text();
    EXPECT_EQ(usage_error([&] { set(example, each.name, each.text); }),
              std::string("--") + each.name + ": " + each.message);
    EXPECT_EQ(example.table.at(each.name).text(), before) << each.name;
    EXPECT_EQ(example.table.at(each.name).origin(), Origin::standard) << each.name;
  }
}

TEST(Option, SaysRangesOfEveryShape) {
  double x = 0.0;
  OptionTable table("pal-example", "");
  const auto number = [&](const char* name) -> Option& { return table.number(name, x, "X"); };
  EXPECT_EQ(number("a").expectation(), "a number");
  EXPECT_EQ(number("b").at_most(5).expectation(), "a number of at most 5");
  EXPECT_EQ(number("c").below(5).expectation(), "a number below 5");
  EXPECT_EQ(number("d").above(0).expectation(), "a number above 0");
  EXPECT_EQ(number("e").at_least(0).below(1).expectation(), "a number from 0 to below 1");
  EXPECT_EQ(number("f").at_least(1).at_most(9).word("auto", 0).expectation(),
            "a number from 1 to 9, or auto");
  EXPECT_EQ(number("g").word("auto", 0).expectation(), "a number, or auto");
}

TEST(Option, AStrongerSourceIsNeverOverwritten) {
  const Origin weakest_first[] = {Origin::architecture, Origin::run, Origin::file, Origin::command};
  ExampleTable up;
  ExampleTable down;
  for (int i = 0; i < 4; ++i) {
    set(up, "lr", std::to_string(i), weakest_first[i]);
    EXPECT_EQ(up.rate, i);
    EXPECT_EQ(up.table.at("lr").is_given(), i >= 2);
    set(down, "lr", std::to_string(3 - i), weakest_first[3 - i]);
    EXPECT_EQ(down.rate, 3);
  }
  EXPECT_EQ(down.table.at("lr").origin(), Origin::command);
  // What is not taken is not read either.
  set(down, "lr", "nonsense", Origin::file);
  EXPECT_EQ(down.rate, 3);
}

TEST(OptionTable, ArchitecturesGiveTheirDefaultsToWhatNobodySet) {
  ExampleTable example;
  example.table.apply_architecture("large");
  EXPECT_EQ(example.rate, 0.07);
  example.table.apply_architecture("small");
  EXPECT_EQ(example.rate, 0.01);
  EXPECT_EQ(example.table.at("lr").origin(), Origin::architecture);
  EXPECT_EQ(example.table.at("lr").default_text(), "default 0.07 (small 0.01)");
  ExampleTable given;
  set(given, "lr", "0.5", Origin::run);
  given.table.apply_architecture("small");
  EXPECT_EQ(given.rate, 0.5);
}

TEST(OptionTable, OptionsOfTheOtherFamilyAreRefusedWhereGiven) {
  ExampleTable example;
  example.table.check_effects(false);
  set(example, "anchors", "4", Origin::run);
  example.table.check_effects(false);
  set(example, "anchors", "4", Origin::file);
  example.table.check_effects(true);
  EXPECT_EQ(usage_error([&] { example.table.check_effects(false); }),
            "--anchors: is an option of flows, and this is a ResNet; leave it out, or choose "
            "another --arch");
  EXPECT_FALSE(OptionTable::has_effect(example.table.at("anchors"), false));
  EXPECT_TRUE(OptionTable::has_effect(example.table.at("anchors"), true));
}

TEST(OptionTable, OptionsWithoutEffectAreWarnedOfWhereGiven) {
  ExampleTable example;
  example.table.at("share").only("with --flip", [&] { return example.flip; });
  const auto warning = [&] {
    ::testing::internal::CaptureStderr();
    example.table.check_effects(true);
    return ::testing::internal::GetCapturedStderr();
  };
  set(example, "flip", "false");
  EXPECT_EQ(warning(), "");
  set(example, "share", "0.25");
  EXPECT_NE(warning().find("--share: has an effect only with --flip"), std::string::npos);
  set(example, "flip", "true");
  EXPECT_EQ(warning(), "");
}

TEST(OptionTable, PathsAreSavedAsAbsoluteOnes) {
  ExampleTable example;
  example.table.at("output").path();
  set(example, "output", "a/./b/../c");
  EXPECT_EQ(example.table.at("output").literal(), "\"a/./b/../c\"");
  const std::string saved = parse_json(example.table.at("output").saved_literal());
  EXPECT_TRUE(saved.starts_with("/") && saved.ends_with("/a/c")) << saved;
  EXPECT_EQ(absolute_path(""), "");
}

TEST(OptionTable, TextsThatAreNotUtf8AreSavedAsNamesAreMatched) {
  ExampleTable example;
  set(example, "output", "/sorti\xe9/\xc3\xa9");
  EXPECT_EQ(example.table.at("output").literal(), "\"/sorti\\\\xe9/\xc3\xa9\"");
  EXPECT_EQ(example.table.at("output").saved_literal(), example.table.at("output").literal());
}

TEST(OptionTable, AnUnknownNameIsTheProgramsOwnFault) {
  ExampleTable example;
  EXPECT_EQ(example.table.find("learning-rate"), nullptr);
  EXPECT_EQ(testing::error_text(ErrorKind::failure, [&] { example.table.at("rate"); }),
            "option table: no option rate");
}

TEST(OptionTable, TakesWordsAmongNumbers) {
  OptionTable table("pal-example", "");
  std::vector<double> betas;
  table.numbers("beta", betas, 0, "Betas").at_least(0).word("inf", HUGE_VAL).word("auto", -1);
  table.at("beta").set("1,inf,auto,0", Origin::command, "--beta");
  EXPECT_EQ(betas, (std::vector<double>{1.0, HUGE_VAL, -1.0, 0.0}));
  table.at("beta").set("inf", Origin::command, "--beta");
  EXPECT_EQ(betas, std::vector<double>{HUGE_VAL});
  EXPECT_THROW(table.at("beta").set("1,-1", Origin::command, "--beta"), Error);
  EXPECT_THROW(table.at("beta").set("1,infinite", Origin::command, "--beta"), Error);
}

}  // namespace
}  // namespace pal
