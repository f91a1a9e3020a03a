#include "runtime/json.h"

#include <gtest/gtest.h>

#include <string>

namespace {

std::string nested(int depth, const std::string& inside = "") {
  const auto count = static_cast<size_t>(depth);
  return std::string(count, '[') + inside + std::string(count, ']');
}

TEST(Json, WhatIsNoJsonIsDiscarded) {
  for (const char* text : {"", "{", "[1,]", "{\"a\": 1} 2", "]"}) {
    EXPECT_TRUE(pal::parse_json(text).is_discarded()) << text;
    EXPECT_TRUE(pal::parse_ordered_json(text).is_discarded()) << text;
  }
}

TEST(Json, KeysKeepTheirOrderWhereAsked) {
  EXPECT_EQ(pal::json_text(pal::parse_ordered_json(R"({"b": 1, "a": 2})")), R"({"b":1,"a":2})");
  EXPECT_EQ(pal::json_text(pal::parse_json(R"({"b": 1, "a": 2})")), R"({"a":2,"b":1})");
}

// Deep values would end the stack when they are copied or printed.
TEST(Json, NestingHasALimit) {
  EXPECT_TRUE(pal::parse_json(nested(pal::kMostJsonDepth)).is_array());
  for (const int depth : {pal::kMostJsonDepth + 1, 1'000'000}) {
    EXPECT_TRUE(pal::parse_json(nested(depth)).is_discarded());
    EXPECT_TRUE(pal::parse_ordered_json(nested(depth)).is_discarded());
    EXPECT_TRUE(pal::parse_json("{\"a\": " + nested(depth) + "}").is_discarded());
  }
}

TEST(Json, BracketsInTextsAreNoNesting) {
  const std::string brackets(1000, '[');
  EXPECT_EQ(pal::parse_json("[\"" + brackets + "\"]")[0], brackets);
  EXPECT_EQ(pal::parse_json("[\"\\\"" + brackets + "\"]")[0], "\"" + brackets);
  EXPECT_TRUE(pal::parse_json("[\"\\\\\", " + nested(pal::kMostJsonDepth) + "]").is_discarded());
}

TEST(Json, ListsSideBySideAreNotDeep) {
  std::string text = "[0";
  for (int i = 0; i < 1000; ++i) text += ", [1]";
  EXPECT_EQ(pal::parse_json(text + "]").size(), 1001U);
}

}  // namespace
