#include "data/sets/open_dataset.h"

#include <gtest/gtest.h>

#include "data/pictures/image_file.h"
#include "data/sets/part_names.h"
#include "tests/data/tar_builder.h"
#include "tests/support/environment.h"

namespace pal {
namespace {

namespace fs = std::filesystem;
using testing::bytes_of;
using testing::data_error;
using testing::usage_error;
using Texts = std::vector<std::string>;

/// Folders and shards that are made file by file; nothing here is decoded.
class OpenDatasetTest : public ::testing::Test {
 protected:
  void add(const std::string& path) const {
    fs::create_directories(fs::path(at(path)).parent_path());
    folder_.write(path, bytes_of("x"));
  }
  /// CLASS/0.jpg and so on of each class, below a folder.
  void add_classes(const std::string& below, const Texts& classes, int count = 1) const {
    for (const std::string& name : classes)
      for (int i = 0; i < count; ++i) add(below + "/" + name + "/" + std::to_string(i) + ".jpg");
  }
  void add_shard(const std::string& path, int count) const {
    testing::TarBuilder builder;
    for (int i = 0; i < count; ++i)
      builder.file(std::to_string(i) + ".jpg", "x")
          .file(std::to_string(i) + ".cls", std::to_string(i % 2));
    fs::create_directories(fs::path(at(path)).parent_path());
    folder_.write(path, builder.end().bytes());
  }
  std::string at(const std::string& path) const { return folder_.path() + "/" + path; }
  static DatasetSpec known(const std::string& name) {
    DatasetSpec spec;
    spec.name = name;
    return spec;
  }
  DatasetSpec spec(const std::string& path) const { return known(at(path)); }
  /// Pictures that are held out of so many.
  size_t held_out(const std::string& path, int64_t count) const {
    DatasetInfo info;
    info.count = count;
    return split_training(spec(path), info, 0.0, 1).validation.size();
  }
  std::string name(const std::string& path, Split split) const {
    return open_dataset(spec(path), split)->info().name.substr(folder_.path().size() + 1);
  }
  int64_t count(const std::string& path, Split split) const {
    return open_dataset(spec(path), split)->info().count;
  }
  /// The data error of opening a part, without the place that it begins with.
  std::string refusal(const std::string& path, Split split = Split::train) const {
    const std::string message = data_error([&] { open_dataset(spec(path), split); });
    const std::string place = at(path) + ": ";
    return message.starts_with(place) ? message.substr(place.size()) : message;
  }

  testing::TemporaryFolder folder_;
  testing::Environment cache_{"XDG_CACHE_HOME", at("cache")};
};

TEST_F(OpenDatasetTest, KnowsPartsByTheirUsualNames) {
  int set = 0;
  for (const std::string train : {"train", "TRAIN", "Training"})
    for (const std::string val : {"val", "Val", "validation", "valid", "dev"})
      for (const std::string test : {"test", "Testing"}) {
        const std::string place = std::to_string(set++);
        add_classes(place + "/" + train, {"a", "b"});
        add_classes(place + "/" + val, {"a", "b"});
        add_classes(place + "/" + test, {"a", "b"});
        EXPECT_EQ(name(place, Split::train), place + "/" + train);
        EXPECT_EQ(name(place, Split::validation), place + "/" + val);
        EXPECT_EQ(name(place, Split::test), place + "/" + test);
      }
}

TEST_F(OpenDatasetTest, RefusesTwoFoldersForOnePart) {
  add_classes("set/train", {"a", "b"});
  add_classes("set/val", {"a", "b"});
  add_classes("set/validation", {"a", "b"});
  EXPECT_EQ(usage_error([&] { open_dataset(spec("set"), Split::train); }),
            at("set") + ": val/ and validation/ may both be the val part; rename or remove one");
  fs::remove_all(at("set/validation"));
  fs::create_directory(at("set/validation"));
  EXPECT_EQ(name("set", Split::validation), "set/val") << "an empty folder is no part";
}

TEST_F(OpenDatasetTest, SaysWhichPartsThereAre) {
  add_classes("both/train", {"a", "b"});
  add_classes("both/test", {"a", "b"});
  const DatasetParts both = parts_of(spec("both"));
  EXPECT_TRUE(both.train && both.test && !both.validation && !both.whole());
  EXPECT_EQ(part_taken(spec("both"), Split::test), Split::test);
  EXPECT_EQ(refusal("both", Split::validation),
            "has train/ and test/ but no val/; expected val/CLASS/PICTURE");
  EXPECT_EQ(held_out("both", 40), 4U);

  add_classes("train only/train", {"a", "b"});
  EXPECT_EQ(refusal("train only", Split::test),
            "has train/ but no val/ or test/; expected val/CLASS/PICTURE");
  EXPECT_TRUE(parts_of(known("synthetic:3")).test);
  EXPECT_FALSE(parts_of(known("digits")).whole());
}

TEST_F(OpenDatasetTest, OneEvaluationPartStandsInForTheOther) {
  add_classes("v/Val", {"a", "b"});
  add_classes("t/test", {"a", "b"});
  for (const Split split : {Split::validation, Split::test}) {
    EXPECT_EQ(name("v", split), "v/Val");
    EXPECT_EQ(name("t", split), "t/test");
    EXPECT_EQ(part_taken(spec("v"), split), Split::validation);
    EXPECT_EQ(part_taken(spec("t"), split), Split::test);
  }
  EXPECT_EQ(refusal("v"), "has Val/ but no train/; expected train/CLASS/PICTURE");
  EXPECT_EQ(refusal("t"), "has test/ but no train/; expected train/CLASS/PICTURE");
  EXPECT_EQ(usage_error([&] { open_dataset(spec("v"), Split::all); }),
            at("v") + ": has Val/, got all");
  // Pictures without classes are not taken for a training part, and it is said.
  add("v/train/1.jpg");
  EXPECT_EQ(refusal("v"),
            "has Val/ but no train/ (train/ holds pictures but no class folders); expected "
            "train/CLASS/PICTURE");
}

TEST_F(OpenDatasetTest, ClassFoldersAloneAreOnePart) {
  add_classes("flat", {"train", "plane", "test"}, 10);
  for (const Split split : {Split::train, Split::validation, Split::test, Split::all}) {
    EXPECT_EQ(name("flat", split), "flat");
    EXPECT_EQ(count("flat", split), 30);
    EXPECT_EQ(part_taken(spec("flat"), split), Split::all);
  }
  EXPECT_TRUE(parts_of(spec("flat")).whole());
  EXPECT_EQ(held_out("flat", 30), 3U);
  add("nested/a/2024/1.jpg");
  add("nested/b/2024/1.jpg");
  EXPECT_EQ(count("nested", Split::train), 2);
}

TEST_F(OpenDatasetTest, WarnsOfPicturesThatBelongToNoPart) {
  add_classes("set/train", {"a", "b"});
  add("set/val/1.jpg");
  add("set/cat/1.jpg");
  add("set/tools/notes.txt");
  ::testing::internal::CaptureStderr();
  open_dataset(spec("set"), Split::train);
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("pictures in cat/ and val/ are not read"), std::string::npos) << log;
}

TEST_F(OpenDatasetTest, SaysWhatIsThereInsteadOfASet) {
  fs::create_directory(at("empty"));
  EXPECT_EQ(refusal("empty"),
            "an empty folder; looked for class folders with pictures (.jpg, .jpeg, .png), train/ "
            "with val/, tar shards (train*.tar) and IDX files (...-ubyte)");
  add("text/notes.txt");
  EXPECT_TRUE(refusal("text").starts_with("no data set; looked for")) << refusal("text");
  add("one/cat/1.jpg");
  add("one/doc/notes.txt");
  EXPECT_EQ(refusal("one"), "one class folder, cat; expected at least two");
  add("loose/1.jpg");
  add("loose/2.PNG");
  EXPECT_EQ(refusal("loose"),
            "2 pictures but no folders of them; expected train/CLASS/PICTURE, or CLASS/PICTURE of "
            "some classes");
  add("unsorted/train/1.jpg");
  add("unsorted/val/1.jpg");
  EXPECT_EQ(refusal("unsorted"),
            "train/ and val/ hold pictures but no class folders; expected train/CLASS/PICTURE, or "
            "CLASS/PICTURE of some classes");
  add_classes("shelf/cats/train", {"a", "b"});
  add_classes("shelf/dogs/train", {"a", "b"});
  EXPECT_EQ(refusal("shelf"),
            "holds sets rather than classes; name one, such as " + at("shelf/cats"));
  add_shard("tars/000.tar", 2);
  EXPECT_TRUE(refusal("tars").starts_with("has tar files such as 000.tar")) << refusal("tars");
  // IDX files are spoken of where there are some.
  add("idx/t10k-images-idx3-ubyte");
  EXPECT_EQ(refusal("idx"),
            "holds neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz; expected the "
            "four IDX files of the MNIST family");
}

TEST_F(OpenDatasetTest, SuggestsWhatMayBeMeant) {
  fs::create_directory(at("photos"));
  EXPECT_TRUE(refusal("photo").ends_with("; did you mean " + at("photos") + "?"))
      << refusal("photo");
  EXPECT_TRUE(refusal("photo/").ends_with("; did you mean " + at("photos") + "?"));
  EXPECT_TRUE(refusal("elsewhere/set").ends_with("shards nor a folder"));
  const auto named = [&](const std::string& name) {
    return data_error([&] { open_dataset(known(name), Split::train); });
  };
  EXPECT_TRUE(named("fashion_mnist").ends_with("; did you mean fashion-mnist?"))
      << named("fashion_mnist");
  for (const char* name : {"cifar10", "CIFAR-10", "imagenet", "tiny-imagenet"})
    EXPECT_NE(named(name).find("name a folder with its pictures as train/CLASS/PICTURE"),
              std::string::npos)
        << named(name);
  EXPECT_NE(named("mnist").find("its four IDX files"), std::string::npos) << named("mnist");
  add("set.zip");
  EXPECT_EQ(refusal("set.zip"), "a file; expected a folder, or tar shards (....tar)");
}

TEST_F(OpenDatasetTest, ReadsTheShardsThatAreNamed) {
  add_shard("s/train-0.tar", 8);
  add_shard("s/train-1.tar", 6);
  add_shard("s/val-0.tar", 4);
  add_shard("s/set-validation-0.tar", 2);
  for (const Split split : {Split::train, Split::validation, Split::test, Split::all}) {
    EXPECT_EQ(count("s/train-1.tar", split), 6);
    EXPECT_EQ(count("s/{train,val}-0.tar", split), 12);
    EXPECT_EQ(count("s/set-validation-{0..0}.tar", split), 2);
  }
  EXPECT_TRUE(parts_of(spec("s/train-{0..1}.tar")).whole());
  // The folder has parts.
  EXPECT_EQ(count("s", Split::train), 14);
  EXPECT_EQ(count("s", Split::test), 4);
  EXPECT_EQ(name("s", Split::test), "s (val)");
}

TEST_F(OpenDatasetTest, KnowsShardsByTheSameWords) {
  add_shard("s/Training-0.tar", 8);
  add_shard("s/valid_0.tar", 4);
  add_shard("s/test.tar", 2);
  add_shard("s/device-0.tar", 2);
  EXPECT_EQ(count("s", Split::train), 8);
  EXPECT_EQ(count("s", Split::validation), 4);
  EXPECT_EQ(count("s", Split::test), 2);
  EXPECT_EQ(part_of_shard("dev-0.tar"), Split::validation);
  EXPECT_EQ(part_of_shard("trainset.tar"), Split::train);
  EXPECT_EQ(part_of_shard("device-0.tar"), std::nullopt);
  add_shard("s/val-0.tar", 4);
  EXPECT_EQ(usage_error([&] { open_dataset(spec("s"), Split::train); }),
            at("s") +
                ": val-0.tar and valid_0.tar may both be of the val part; name one kind by a "
                "pattern, or rename");
  add_shard("v/val-0.tar", 4);
  EXPECT_EQ(refusal("v"), "has val-0.tar but no train*.tar; expected train*.tar");
}

TEST_F(OpenDatasetTest, LabelsGoByNameInEachPart) {
  add_classes("set/train", {"ant", "bee", "cat"}, 2);
  add_classes("set/val", {"bee", "cat"});
  fs::create_directory(at("set/val/zoo"));
  ::testing::internal::CaptureStderr();
  const auto val = open_dataset(spec("set"), Split::validation);
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("warning: " + at("set/val") + ": no pictures of 1 of the 3 classes of " +
                     at("set/train") + ": ant"),
            std::string::npos)
      << log;
  EXPECT_EQ(val->info().class_names, (Texts{"ant", "bee", "cat"}));

  fs::remove(at("set/val/zoo"));
  add_classes("set/val", {"zebra"});
  DatasetSpec bound = spec("set");
  EXPECT_EQ(open_dataset(bound, Split::validation)->info().class_names,
            (Texts{"bee", "cat", "zebra"}))
      << "evaluated with the classes it has";
  bound.same_classes = true;
  EXPECT_EQ(usage_error([&] { open_dataset(bound, Split::validation); }),
            at("set/val") +
                ": class 'zebra' is in val/ but not in train/; expected no classes but "
                "those of " +
                at("set/train"));
}

TEST_F(OpenDatasetTest, SeesColour) {
  const auto picture = [&](const std::string& path, int64_t channels, bool coloured) {
    Image image;
    image.width = image.height = 8;
    image.channels = channels;
    for (int i = 0; i < 64; ++i)
      for (int64_t c = 0; c < channels; ++c)
        image.pixels.push_back(static_cast<uint8_t>(100 + i + (coloured ? 40 * c : 3 * c)));
    add(path);
    write_png(at(path), image);
  };
  const auto coloured = [&] { return open_dataset(spec("set"), Split::train)->has_colour(); };
  picture("set/a/0.png", 1, false);
  picture("set/b/0.png", 3, false);
  EXPECT_FALSE(coloured()) << "three channels that say the same";
  add("set/b/1.png");  // no picture
  EXPECT_FALSE(coloured());
  picture("set/b/2.png", 3, true);
  EXPECT_TRUE(coloured());
  EXPECT_TRUE(open_dataset(known("synthetic:2:8:8:3"), Split::train)->has_colour());
  EXPECT_FALSE(open_dataset(known("synthetic:2:8:8:1"), Split::train)->has_colour());
}

}  // namespace
}  // namespace pal
