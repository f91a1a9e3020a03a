#include "runtime/text.h"

#include <gtest/gtest.h>

namespace pal {
namespace {

TEST(Text, FindsWhereUtf8Ends) {
  EXPECT_EQ(valid_utf8_length(""), 0U);
  EXPECT_EQ(valid_utf8_length("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x88"), 14U);
  for (const std::string bad : {"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80",
                                "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xe2\x82"})
    EXPECT_EQ(valid_utf8_length("ab" + bad), 2U) << one_line(bad);
}

TEST(Text, MakesOneLineOfAnything) {
  EXPECT_EQ(one_line("caf\xc3\xa9.jpg"), "caf\xc3\xa9.jpg");
  EXPECT_EQ(one_line("a\nb\t\x7f"), "a\\x0ab\\x09\\x7f");
  EXPECT_EQ(one_line("\xff\xc3(\xe2\x82"), "\\xff\\xc3(\\xe2\\x82");
  EXPECT_EQ(one_line(std::string_view("\0x", 2)), "\\x00x");
  // C1: 9b begins a command on some terminals.
  EXPECT_EQ(one_line("\xc2\x9b"), "\\xc2\\x9b");
  EXPECT_EQ(one_line("\xc2\xa0"), "\xc2\xa0");
}

TEST(Text, NamesInUtf8StayAsTheyAre) {
  EXPECT_EQ(as_utf8("caf\xc3\xa9\n"), "caf\xc3\xa9\n");
  EXPECT_EQ(as_utf8("caf\xe9\n"), "caf\\xe9\\x0a");
  EXPECT_EQ(as_utf8(""), "");
}

TEST(Text, TrimsBothEnds) {
  EXPECT_EQ(trimmed(" \t a b\r\n"), "a b");
  EXPECT_EQ(trimmed(" \r\n"), "");
  EXPECT_EQ(trimmed(""), "");
  EXPECT_EQ(trimmed("\na ", " "), "\na");
}

TEST(Text, FindsTheNearestName) {
  EXPECT_EQ(nearest_name("fashion_mnist", {"digits", "fashion-mnist"}), "fashion-mnist");
  EXPECT_EQ(nearest_name("photo", {"digits", "photos"}), "photos");
  EXPECT_EQ(nearest_name("photo", {"digits", "stamps"}), "");
  EXPECT_EQ(nearest_name("photo", {}), "");
}

TEST(Text, LowersAsciiLetters) { EXPECT_EQ(lower_case("Val-\xc3\x84Z"), "val-\xc3\x84z"); }

TEST(Text, ShellWordsAreQuotedWhereTheyMustBe) {
  EXPECT_EQ(shell_word("runs/demo-1"), "runs/demo-1");
  EXPECT_EQ(shell_word("W\u00fcrfel"), "W\u00fcrfel");
  EXPECT_EQ(shell_word("my run"), "'my run'");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_word(""), "''");
}

}  // namespace
}  // namespace pal
