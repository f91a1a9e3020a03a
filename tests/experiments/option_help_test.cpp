#include "experiments/command_line/option_help.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "experiments/recipe/train_table.h"
#include "tests/experiments/example_table.h"

namespace pal {
namespace {

using testing::ExampleTable;

size_t longest_line(const std::string& page) {
  std::istringstream lines(page);
  size_t longest = 0;
  for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
  return longest;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// `text` as it stands in a page for man.
std::string troff(const std::string& text) {
  std::string escaped;
  for (const char c : text) escaped += c == '-' ? std::string("\\-") : std::string(1, c);
  return escaped;
}

TEST(OptionHelp, SaysNamesValuesRangeAndDefault) {
  ExampleTable example;
  EXPECT_EQ(help_text(example.table),
            R"(Usage: pal-example [OPTIONS] [DIR]

Shows what options can be.

  pal-example photos

  DIR                         Pictures

Values
      --flip                  Mirror; default true
  -v, --verbose               More lines
  -b, --batch-size N          Images per step; at least 1; default 128
      --anchors N             Kept (flows); at least 1, or auto, or none; default auto
      --threads N             Threads; auto; default auto
      --seed N                Seed; at least 0; default 0
      --lr NUMBER             Rate; at least 0; default 0.07 (small 0.01)
      --offset NUMBER         Anything; default 0
      --share NUMBER          Part; above 0 to below 1; default 0.5
      --beta NUMBER           Weight; at least 0, or inf; default 1

Lists
      --scale NUMBERS         From and to; default 0.08,1
      --mean NUMBERS          Mean of each colour; 0 to 1
      --blocks NUMBERS        Blocks; at least 1; default 4,4

Texts
  -o, --output RUN            Run folder; default run
      --set TEXT              Any field
      --between TEXT          Two pictures
      --memory-limit BYTES    Memory
      --max-time TIME         Time
      --pace WORD             Pace: slow, quick; default slow
)");
}

TEST(OptionHelp, DefaultsAreThoseBeforeAnyoneSetThem) {
  ExampleTable example;
  const std::string before = help_text(example.table);
  example.table.at("lr").set("0.5", Origin::command, "--lr");
  example.table.at("lr").set("0.6", Origin::command, "--lr");
  EXPECT_EQ(help_text(example.table), before);
}

TEST(OptionHelp, EveryOptionOfTrainingIsInEveryForm) {
  TrainOptions options;
  OptionTable table("pal-train", "Trains.");
  add_train_options(table, options);
  const std::string help = help_text(table);
  const std::string man = man_page(table);
  const std::string completion = bash_completion(table);
  EXPECT_LE(longest_line(help), 100);
  EXPECT_LE(longest_line(help_text(table, 80)), 80);
  for (const Option& option : table.options()) {
    const std::string letter =
        option.short_name() != 0 ? std::string("-") + option.short_name() + ", " : "";
    EXPECT_TRUE(contains(help, letter + option.flag())) << option.name();
    EXPECT_TRUE(contains(man, "\n.B " + troff(letter + option.flag()))) << option.name();
    EXPECT_TRUE(contains(completion, option.flag() + " ")) << option.name();
    for (const std::string& word : option.values())
      EXPECT_TRUE(contains(completion, " " + word) || contains(completion, "'" + word))
          << option.name() << " " << word;
  }
}

TEST(OptionHelp, PagesForManHaveNoLineThatIsACommandByChance) {
  bool flag = false;
  OptionTable table("pal-example", "First line.\n.second 'line'\n'third\\");
  table.toggle("flag", flag, "'quoted' help");
  const std::string man = man_page(table);
  EXPECT_TRUE(contains(man, "\n\\&.second 'line'\n\\&'third\\e\n")) << man;
  EXPECT_TRUE(contains(man, "\n\\&'quoted' help\n")) << man;
}

TEST(OptionHelp, CompletionKnowsTheOptionsOfCommands) {
  bool flag = false;
  OptionTable table("pal-tool", "Has commands.");
  table.command("check", "Checks.").toggle("strict", flag, "Strictly");
  const std::string completion = bash_completion(table);
  EXPECT_TRUE(contains(completion, "-W 'check --strict '")) << completion;
  EXPECT_TRUE(contains(completion, "complete -o filenames -F _pal_tool pal-tool\n"));
}

}  // namespace
}  // namespace pal
