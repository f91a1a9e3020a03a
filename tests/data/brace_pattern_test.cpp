#include "data/archives/brace_pattern.h"

#include <gtest/gtest.h>

#include "tests/data/tar_builder.h"

namespace pal {
namespace {

using Texts = std::vector<std::string>;
using testing::data_error;
using testing::usage_error;

TEST(ExpandBraces, CountsWithZeros) {
  const Texts shards = expand_braces("train-{000000..000146}.tar");
  ASSERT_EQ(shards.size(), 147U);
  EXPECT_EQ(shards.front(), "train-000000.tar");
  EXPECT_EQ(shards.back(), "train-000146.tar");
  EXPECT_EQ(expand_braces("{8..11}"), (Texts{"8", "9", "10", "11"}));
  EXPECT_EQ(expand_braces("{08..11}"), (Texts{"08", "09", "10", "11"}));
  EXPECT_EQ(expand_braces("{0..2}"), (Texts{"0", "1", "2"}));
  EXPECT_EQ(expand_braces("{9..010}"), (Texts{"009", "010"}));
  EXPECT_EQ(expand_braces("{2..0}"), (Texts{"2", "1", "0"}));
  EXPECT_EQ(expand_braces("{5..5}"), (Texts{"5"}));
}

TEST(ExpandBraces, ListsAndSeveralGroups) {
  EXPECT_EQ(expand_braces("a/{train,val}.tar"), (Texts{"a/train.tar", "a/val.tar"}));
  EXPECT_EQ(expand_braces("{a,b}{0..1}x"), (Texts{"a0x", "a1x", "b0x", "b1x"}));
  EXPECT_EQ(expand_braces("x{,y}"), (Texts{"x", "xy"}));
  EXPECT_EQ(expand_braces("plain.tar"), (Texts{"plain.tar"}));
  EXPECT_EQ(expand_braces(""), (Texts{""}));
}

TEST(ExpandBraces, RefusesBadPatterns) {
  const auto error = [](const std::string& pattern) {
    return usage_error([&] { expand_braces(pattern); });
  };
  EXPECT_EQ(error("a{1..3.tar"),
            "a{1..3.tar: a brace that is not closed; expected {first..last} or {one,other}");
  EXPECT_NE(error("a}b").find("a closing brace without"), std::string::npos);
  EXPECT_NE(error("a{b{c,d}}").find("a brace within braces"), std::string::npos);
  for (const std::string group : {"", "a", "1..", "..2", "1...3", "a..c", "1..9..2", "-1..3",
                                  "1.5..3", "0x1..3", "1234567890123456..1234567890123457"})
    EXPECT_NE(error("{" + group + "}").find("is neither a range of numbers nor a list"),
              std::string::npos)
        << group;
  EXPECT_EQ(expand_braces("{000000..999999}").size(), 1'000'000U);
  EXPECT_NE(error("{0..1000000}").find("more than 1,000,000"), std::string::npos);
  EXPECT_NE(error("{0..999999999999999}").find("more than 1,000,000"), std::string::npos);
  EXPECT_NE(error("{0..999}{0..999}{0..1}").find("more than 1,000,000"), std::string::npos);
  EXPECT_NE(error(std::string(5000, 'a')).find("more than 4096 bytes"), std::string::npos);
}

TEST(FindShards, ListsFoldersAndPatterns) {
  const testing::TemporaryFolder folder;
  for (const std::string name :
       {"train-1.tar", "train-0.tar", "val-0.tar", "train.txt", ".train-9.tar", "train-x.tar.gz"})
    folder.write(name, "");
  EXPECT_EQ(find_shards(folder.path()),
            (Texts{folder.path() + "/train-0.tar", folder.path() + "/train-1.tar",
                   folder.path() + "/val-0.tar"}));
  const testing::TemporaryFolder other;
  EXPECT_EQ(usage_error([&] { find_shards(other.path()); }),
            other.path() + ": no tar shards *.tar");
  EXPECT_EQ(find_shards("no/such-{0..1}.tar"), (Texts{"no/such-0.tar", "no/such-1.tar"}));
}

}  // namespace
}  // namespace pal
