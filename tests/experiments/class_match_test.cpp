#include "experiments/measures/class_match.h"

#include <gtest/gtest.h>

#include "runtime/error.h"

namespace pal {
namespace {

struct Classes : ::testing::Test {
  Classes() {
    ModelConfig config = preset("ibinn-mnist");
    config.classes = 4;
    loaded.model = build_model(config);
    loaded.input.class_names = {"a", "b", "c", "d"};
  }
  ClassMatch match(const std::vector<std::string>& names, bool allow_other = false) const {
    DatasetInfo info;
    info.name = "pictures";
    info.class_names = names;
    return match_classes(loaded, "m.safetensors", info, allow_other);
  }
  std::string refusal(const std::vector<std::string>& names, bool allow_other = false) const {
    try {
      match(names, allow_other);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      return error.what();
    }
    return "no error";
  }
  LoadedModel loaded;
};

using Numbers = std::vector<int32_t>;
using Names = std::vector<std::string>;

TEST_F(Classes, AreMatchedByName) {
  EXPECT_EQ(match({"a", "b", "c", "d"}).class_of_label, Numbers());
  const ClassMatch turned = match({"d", "a", "c", "b"});
  EXPECT_EQ(turned.class_of_label, (Numbers{3, 0, 2, 1}));
  EXPECT_EQ(turned.label_names, (Names{"a", "b", "c", "d"}));
  EXPECT_EQ(match({"c", "a"}).class_of_label, (Numbers{2, 0})) << "a part of the classes";
}

TEST_F(Classes, OfOtherNamesAreRefusedUnlessAllowed) {
  EXPECT_EQ(refusal({"a", "b", "c", "zebra"}),
            "m.safetensors: made for 4 classes (a, b, c, d), but pictures has 4 classes (a, b, c, "
            "zebra): 'zebra' is none of its classes; --allow-other-classes takes them by position");
  EXPECT_EQ(refusal({"a", "u", "v", "w", "x", "y"}),
            "m.safetensors: made for 4 classes (a, b, c, d), but pictures has 6 classes (a, u, v, "
            "w, x, ...): 'u' is none of its classes");
  EXPECT_NE(refusal({"a", "b", "c", "d", "e"}, true).find("'e' is none"), std::string::npos)
      << "the numbers must fit";
  const ClassMatch other = match({"a", "b", "c", "zebra"}, true);
  EXPECT_EQ(other.class_of_label, Numbers());
  EXPECT_EQ(other.names, (Names{"a", "b", "c", "d"}));
  EXPECT_EQ(other.label_names, (Names{"a", "b", "c", "zebra"}));
  EXPECT_EQ(match({"d", "a"}, true).class_of_label, (Numbers{3, 0}))
      << "names that are known count";
  loaded.input.class_names = {"a", "b", "a", "d"};
  EXPECT_NE(refusal({"d", "a"}).find("'a' is more than one of them"), std::string::npos);
  EXPECT_EQ(match({"a", "b", "a", "d"}).class_of_label, Numbers());
}

TEST_F(Classes, ThatAreNumbersInAnotherOrderGoByValue) {
  EXPECT_EQ(match({"1", "0", "3", "2"}).class_of_label, (Numbers{1, 0, 3, 2}));
  EXPECT_EQ(match({"3", "1"}).class_of_label, (Numbers{3, 1})) << "a part of the classes";
  EXPECT_EQ(match({"3", "1"}).names, (Names{"a", "b", "c", "d"}));
  EXPECT_NE(refusal({"4", "1"}), "no error") << "no such class";
  EXPECT_NE(refusal({"1", "01"}), "no error") << "twice";
  EXPECT_NE(refusal({"1", "b"}), "no error") << "numbers and names";
  loaded.input.class_names.clear();
  EXPECT_EQ(match({"1", "0", "3", "2"}).class_of_label, (Numbers{1, 0, 3, 2}));
  loaded.input.class_names = {"0", "1", "10", "2"};
  EXPECT_EQ(match({"1", "2"}).class_of_label, (Numbers{1, 3})) << "the model has them as names";
}

TEST_F(Classes, ThatAreNumbersHaveNoNames) {
  const Names numbers = {"0", "1", "2", "3"};
  EXPECT_TRUE(are_numbers(numbers));
  EXPECT_FALSE(are_numbers({"1", "0"}));
  const ClassMatch named = match(numbers);
  EXPECT_EQ(named.class_of_label, Numbers());
  EXPECT_EQ(named.label_names, (Names{"a", "b", "c", "d"})) << "the model knows the names";
  EXPECT_EQ(refusal({"0", "1", "2"}),
            "m.safetensors: made for 4 classes (a, b, c, d), but pictures has 3 classes (0, 1, 2)");
  loaded.input.class_names = numbers;
  EXPECT_EQ(match({"w", "x", "y", "z"}).names, (Names{"w", "x", "y", "z"})) << "the set knows them";
  EXPECT_NE(refusal({"w", "x"}), "no error");
  loaded.input.class_names.clear();
  EXPECT_EQ(match({"w", "x", "y", "z"}).class_of_label, Numbers());
}

}  // namespace
}  // namespace pal
