#include "data/sources/class_names.h"

#include <gtest/gtest.h>

#include "tests/data/tar_builder.h"

namespace pal {
namespace {

using Texts = std::vector<std::string>;
using testing::bytes_of;
using testing::data_error;
using testing::usage_error;

class ClassNames : public ::testing::Test {
 protected:
  std::string file(const std::string& text) const { return folder_.write("names", bytes_of(text)); }
  Texts read(const std::string& text) const { return read_class_names(file(text)); }
  /// The message behind the file's name.
  std::string error(const std::string& text) const {
    const std::string path = file(text);
    const std::string message = data_error([&] { read_class_names(path); });
    return message.rfind(path, 0) == 0 ? message.substr(path.size()) : message;
  }

  testing::TemporaryFolder folder_;
};

TEST_F(ClassNames, ReadsLines) {
  EXPECT_EQ(read("cat\ndog\n"), (Texts{"cat", "dog"}));
  EXPECT_EQ(read("\xef\xbb\xbf"
                 "cat\r\n caf\xc3\xa9 owl \r\neel"),
            (Texts{"cat", "caf\xc3\xa9 owl", "eel"}));
  EXPECT_EQ(read("n01440764 tench, Tinca tinca\n"), (Texts{"n01440764 tench, Tinca tinca"}));
}

TEST_F(ClassNames, BlankLinesAtTheEndDoNoHarm) {
  for (const std::string end : {"", "\n", "\n\n", "\r\n\r\n", "\n \t\n", "\n\n\n\n", " \n "})
    EXPECT_EQ(read("cat\ndog" + end), (Texts{"cat", "dog"})) << end;
}

TEST_F(ClassNames, NamesMayComeTwiceInLinesAsInJson) {
  const Texts cranes = {"tench", "crane (1)", "crane (2)"};
  EXPECT_EQ(read("tench\ncrane\ncrane\n"), cranes);
  EXPECT_EQ(read(R"(["tench", "crane", "crane"])"), cranes);
  EXPECT_EQ(read("a b\na b\na b"), (Texts{"a b (0)", "a b (1)", "a b (2)"}));
  EXPECT_EQ(class_names_for({"x", "y", "z"}, file("tench\ncrane\ncrane\n")), cranes);
  // A class may be called what a mark would make of another.
  EXPECT_EQ(read("crane\ncrane\ncrane (0)\n"), (Texts{"crane (0) (0)", "crane (1)", "crane (0)"}));
}

TEST_F(ClassNames, RefusesBadLines) {
  EXPECT_EQ(error("cat\n\ndog\n"), ":2: a blank line, expected a name");
  EXPECT_EQ(error("cat\n \t\r\ndog"), ":2: a blank line, expected a name");
  EXPECT_EQ(error("\ncat\n"), ":1: a blank line, expected a name");
  EXPECT_EQ(error("\n \n\r\n"), ":0: no class names");
  EXPECT_EQ(error("cat\n\xff\n"), ":2: \\xff is not a name in UTF-8");
  EXPECT_EQ(error("c\x01t\n"), ":1: c\\x01t is not a name in UTF-8");
  EXPECT_EQ(error(""), ":0: no class names");
  EXPECT_EQ(data_error([&] { read_class_names(folder_.path() + "/none"); }),
            folder_.path() + "/none: no such file");
}

TEST_F(ClassNames, ReadsJson) {
  EXPECT_EQ(read(R"( ["cat", "dog"] )"), (Texts{"cat", "dog"}));
  EXPECT_EQ(read(R"({"1": "dog", "0": "cat"})"), (Texts{"cat", "dog"}));
  EXPECT_EQ(read(R"({"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]})"),
            (Texts{"tench", "goldfish"}));
  EXPECT_EQ(
      read(R"({"0": ["n02012849", "crane"], "1": ["n1", "eel"], "2": ["n03126707", "crane"]})"),
      (Texts{"crane (n02012849)", "eel", "crane (n03126707)"}));
  EXPECT_EQ(read(R"(["crane", "crane"])"), (Texts{"crane (0)", "crane (1)"}));
}

TEST_F(ClassNames, RefusesOtherJson) {
  for (const std::string text :
       {R"({"a": "cat"})", R"({"00": "cat"})", R"({"-1": "cat"})", R"({"1000000": "cat"})",
        R"({"0": 5})", R"({"0": ["id"]})", R"({"0": ["id", "cat", "more"]})", R"({"0": [["a"]]})",
        R"({"0": {"a": "b"}})", R"({"0": "cat", "0": "dog"})", R"([5])", R"([["cat"]])",
        R"(["cat", null])", R"([""])", R"(["a\u0001b"])", R"([{"a": "b"}])", R"([1.5])",
        R"([true])"})
    EXPECT_EQ(
        error(text).rfind(":0: class 0: ", 0) == 0 || error(text).rfind(":0: class 1: ", 0) == 0,
        true)
        << text << error(text);
  for (const std::string text :
       {"[\"cat\"", "{\"0\" \"cat\"}", "[] []", "[\"\xff\"]", "{", "[cat]"})
    EXPECT_NE(error(text).find(": broken JSON"), std::string::npos) << text << error(text);
  EXPECT_EQ(error("[]"), ":0: no class names");
  EXPECT_EQ(error("{}"), ":0: no class names");
  EXPECT_EQ(error(R"({"1": "cat"})"), ":0: no name for class 0");
  EXPECT_EQ(error(R"({"0": "cat", "999999": "dog"})"), ":0: no name for class 1");
  EXPECT_NE(error(std::string(1'000'000, '[')).find("a list in a list"), std::string::npos);
}

TEST_F(ClassNames, MapsFoldersById) {
  const Texts folders = {"n01440764", "n02012849", "n03126707"};
  const std::string mapping =
      "n03126707 crane\nn01440764 tench, Tinca tinca\nn02012849\tcrane\nn09999999 unused thing\n";
  const Texts wanted = {"tench, Tinca tinca", "crane (n02012849)", "crane (n03126707)"};
  EXPECT_EQ(class_names_for(folders, file(mapping)), wanted);
  EXPECT_EQ(class_names_for({"n02012849", "n01440764"}, file(mapping)),
            (Texts{"crane (n02012849)", "tench, Tinca tinca"}));
  EXPECT_EQ(class_names_for({"b", "a"}, file(R"({"0": ["a", "ape"], "1": ["b", "bee"]})")),
            (Texts{"bee", "ape"}));
  // The folders' own names in another order must not rename them.
  EXPECT_EQ(class_names_for({"red ant", "bee"}, file("bee\nred ant\n")), (Texts{"red ant", "bee"}));
  EXPECT_EQ(class_names_for({"red ant", "red"}, file("red ant\nred\n")), (Texts{"red ant", "red"}));
}

TEST_F(ClassNames, RefusesAFolderThatStandsForSeveralClasses) {
  for (const std::string text :
       {"n1 tench\nn2 crane\nn1 eel\n", "n1 tench\nn2 crane\nn1 tench\n",
        R"({"0": ["n1", "tench"], "1": ["n2", "crane"], "2": ["n1", "eel"]})"}) {
    const auto path = file(text);
    EXPECT_EQ(data_error([&] {
                class_names_for({"n1", "n2"}, path);
              }),
              path + ":0: n1 stands for 2 classes, but is one class folder");
  }
  // Words that display names begin with are no keys.
  EXPECT_EQ(class_names_for({"x", "y"}, file("great owl\ngreat shark\n")),
            (Texts{"great owl", "great shark"}));
}

TEST_F(ClassNames, MapsFoldersByPlace) {
  EXPECT_EQ(class_names_for({"0", "1"}, file("great white shark\ntench\n")),
            (Texts{"great white shark", "tench"}));
  const auto path = file("cat\ndog\n");
  EXPECT_EQ(usage_error([&] {
              class_names_for({"x", "y", "z"}, path);
            }),
            path + ": 2 class names for 3 class folders");
}

TEST_F(ClassNames, RefusesAMappingThatLeavesFoldersOut) {
  const auto path = file("n1 tench\nn2 crane\n");
  EXPECT_EQ(usage_error([&] {
              class_names_for({"n1", "n2", "n3"}, path);
            }),
            path + ": 2 lines for 3 class folders; none begins with n3");
}

TEST(ClassNameLists, NamesUpToFiveOfEach) {
  EXPECT_EQ(class_name_lists("model", {"a", "b"}, "data", {"1", "2", "3", "4", "5", "x\ny", "7"}),
            "model: a, b; data: 1, 2, 3, 4, 5 and 2 more");
  EXPECT_EQ(some_names({"x\ny"}), "x\\x0ay");
}

}  // namespace
}  // namespace pal
