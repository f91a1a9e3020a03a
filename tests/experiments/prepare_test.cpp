#include "experiments/datasets/prepare.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "data/pictures/image_file.h"
#include "data/sources/image_folder.h"
#include "runtime/file.h"
#include "tests/experiments/fake_package.h"

namespace pal {
namespace {

namespace fs = std::filesystem;
using testing::Bytes;
using testing::data_error;
using testing::FakePackage;
using testing::TemporaryFolder;

/// Places of the ten classes of stamps.
constexpr const char* kPlaces[] = {
    "animals/birds",      "symbols/money/japanese", "plants/flowers", "food/fruit",
    "hobbies/music/wind", "animals/mammals/deer",   "animals/fish",   "household/tools",
    "space/moon",         "vehicles/auto"};
constexpr int kCutouts = 6;

/// Six cut-outs of each class, and files that must not be taken.
std::string stamp_package(const TemporaryFolder& folder) {
  const FakePackage package(folder, kStampPackage);
  for (const std::string place : kPlaces) {
    const std::string at = std::string(kStampFolder) + "/" + place + "/";
    for (int i = 0; i < kCutouts; ++i)
      package.add(at + "Own-" + std::to_string(i) + ".png",
                  testing::disc_png(20 + 7 * i, 200, 30, 90));
    package.add(at + "Own-0_mirror.png", testing::disc_png(9, 0, 0, 0));
    package.add(at + "render.png", testing::disc_png(9, 0, 0, 0));
    package.add(at + "render.svg", {'<'});
    package.add(at + "cartoon/drawn.png", testing::disc_png(9, 0, 0, 0));
    package.add(at + "sound.ogg", {'O'});
  }
  return package.build();
}

std::string photo_package(const TemporaryFolder& folder) {
  const FakePackage package(folder, kPhotoPackage);
  for (int i = 0; i < 5; ++i) {
    Bytes values;
    for (int y = 0; y < 90; ++y)
      for (int x = 0; x < 130; ++x)
        testing::append(values, {static_cast<uint8_t>(x), static_cast<uint8_t>(2 * y),
                                 static_cast<uint8_t>(40 * i)});
    package.add(std::string(kPhotoFolder) + "/Photo" + std::to_string(i) + ".jpg",
                testing::jpeg_bytes(130, 90, values));
  }
  return package.build();
}

/// Path below the folder -> content, of all files.
std::map<std::string, Bytes> content_of(const std::string& folder) {
  std::map<std::string, Bytes> content;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      content[fs::relative(entry.path(), folder).string()] = read_file(entry.path().string());
  return content;
}

class Stamps : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::has_dpkg()) GTEST_SKIP() << "no dpkg-deb here";
    options_.packages = {stamp_package(folder_), photo_package(folder_)};
    options_.size = 33;
    options_.count = 9;
    options_.val_count = 4;
  }
  PreparedSet make(const std::string& name) {
    options_.output = folder_.path() + "/" + name;
    return prepare_stamps(options_);
  }
  TemporaryFolder folder_;
  PrepareOptions options_;
};

TEST_F(Stamps, AreComposedAsAsked) {
  const PreparedSet set = make("a");
  EXPECT_TRUE(set.made);
  EXPECT_EQ(set.train, 90);
  EXPECT_EQ(set.val, 40);
  const auto train = image_folder(set.folder + "/train", "");
  const auto val = image_folder(set.folder + "/val", "");
  EXPECT_EQ(train->count(), 90);
  EXPECT_EQ(val->count(), 40);
  EXPECT_EQ(train->class_names(),
            (std::vector<std::string>{"bird", "coin", "flower", "fruit", "instrument", "mammal",
                                      "planet", "sea", "tool", "vehicle"}));
  EXPECT_EQ(train->class_names(), val->class_names());
  std::set<size_t> sizes;
  int pasted = 0;
  for (int64_t i = 0; i < train->count(); ++i) {
    const Image image = read_image(train->item_name(i));
    EXPECT_EQ(image.width, 33);
    EXPECT_EQ(image.height, 33);
    EXPECT_EQ(image.channels, 3);
    // No photograph is as red as the cut-outs.
    for (size_t p = 0; p < image.pixels.size(); p += 3)
      if (image.pixels[p] > 170 && image.pixels[p + 1] < 90) {
        ++pasted;
        break;
      }
  }
  EXPECT_EQ(pasted, 90);
  const Bytes readme = read_file(set.folder + "/README.txt");
  const std::string text(readme.begin(), readme.end());
  for (const char* part : {"composed", "tuxpaint-stamps-default 1.2-3", "mate-backgrounds 1.2-3",
                           "photographs: 4 for training, 1 for validation",
                           "class bird: 4 cut-outs for training, 2 for validation", "--seed 0"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  EXPECT_FALSE(fs::exists(set.folder + ".partial"));
}

TEST_F(Stamps, NoSourceIsInBothParts) {
  const PreparedSet set = make("a");
  std::map<std::string, std::set<std::string>> cutouts;
  std::map<std::string, std::set<std::string>> photos;
  for (const auto& [path, bytes] : content_of(set.folder)) {
    if (path == "README.txt") continue;
    const std::string part = path.substr(0, path.find('/'));
    const std::string name = fs::path(path).stem().string();
    const size_t first = name.find('-');
    const size_t second = name.find('-', first + 1);
    const std::string parent = fs::path(path).parent_path().filename().string();
    cutouts[part].insert(parent + "/" + name.substr(first + 1, second - first - 1));
    photos[part].insert(name.substr(second + 1));
  }
  EXPECT_EQ(cutouts["train"].size(), 40U);
  EXPECT_EQ(cutouts["val"].size(), 20U);
  EXPECT_EQ(photos["train"].size(), 4U);
  EXPECT_EQ(photos["val"].size(), 1U);
  for (auto* sources : {&cutouts, &photos})
    for (const std::string& name : (*sources)["val"])
      EXPECT_EQ((*sources)["train"].count(name), 0U) << name;
  EXPECT_EQ(cutouts["train"].count("bird/drawn") + cutouts["train"].count("bird/render") +
                cutouts["train"].count("bird/own_0_mirror"),
            0U);
}

TEST_F(Stamps, FollowFromTheSeedAlone) {
  options_.workers = 1;
  const auto first = content_of(make("a").folder);
  options_.workers = 3;
  EXPECT_EQ(content_of(make("b").folder), first);
  options_.seed = 1;
  const auto other = content_of(make("c").folder);
  EXPECT_EQ(other.size(), first.size());
  EXPECT_NE(other, first);
}

TEST_F(Stamps, AreMadeOnce) {
  EXPECT_TRUE(make("a").made);
  options_.packages.clear();
  EXPECT_FALSE(make("a").made);
  options_.size = 34;
  EXPECT_THROW(make("a"), Error);
  options_.output = folder_.path() + "/b";
  fs::create_directories(options_.output + "/something");
  EXPECT_THROW(prepare_stamps(options_), Error);
}

TEST_F(Stamps, FailWithoutLeavingAnything) {
  std::ofstream(folder_.path() + "/text.deb") << "text";
  options_.packages = {folder_.path() + "/text.deb"};
  const std::string broken = data_error([&] { make("a"); });
  EXPECT_EQ(broken.rfind(folder_.path() + "/text.deb: not a Debian package: ", 0), 0U) << broken;
  const FakePackage empty(folder_, kStampPackage);
  fs::remove_all(empty.root() + "/usr");
  options_.packages = {empty.build()};
  const std::string lacking = data_error([&] { make("a"); });
  EXPECT_NE(lacking.find(std::string("holds no ") + kStampFolder), std::string::npos) << lacking;
  EXPECT_FALSE(fs::exists(folder_.path() + "/a"));
  EXPECT_FALSE(fs::exists(folder_.path() + "/a.partial"));
}

TEST_F(Stamps, RefuseNonsense) {
  for (int64_t* value : {&options_.size, &options_.count, &options_.val_count}) {
    const int64_t before = std::exchange(*value, 0);
    EXPECT_THROW(make("a"), Error);
    *value = before;
  }
  EXPECT_FALSE(fs::exists(folder_.path() + "/a"));
}

class Clipart : public ::testing::Test {
 protected:
  static constexpr const char* kPng = "/usr/share/openclipart/png/";
  static constexpr const char* kFolders[] = {
      "animals",    "buildings", "signs_and_symbols/flags", "food", "geography", "office", "people",
      "recreation", "tools",     "transportation"};
  void SetUp() override {
    if (!testing::has_dpkg()) GTEST_SKIP() << "no dpkg-deb here";
    const FakePackage package(folder_, "openclipart-png");
    for (const std::string place : kFolders) {
      const std::string at = kPng + place + "/";
      for (int i = 0; i < 10; ++i)
        package.add(
            at + (i % 2 == 0 ? "" : "sub/") + "drawing_" + std::string(1, char('a' + i)) + ".png",
            testing::square_png(6 + i, 5, static_cast<uint8_t>(20 * i)));
      for (int i = 0; i < 4; ++i)
        package.add(at + "series_0" + std::to_string(i) + ".png", testing::square_png(4, 4, 9));
      package.add(at + "large.png", testing::square_png(40, 30, 0));
      package.add(at + "README", {'x'});
      fs::create_symlink("large.png", package.root() + at + "link.png");
    }
    options_.packages = {package.build()};
    options_.max_pixels = 1199;
  }
  TemporaryFolder folder_;
  PrepareOptions options_;
};

TEST_F(Clipart, IsSplitBySeries) {
  options_.output = folder_.path() + "/a";
  const PreparedSet set = prepare_clipart(options_);
  EXPECT_EQ(set.train + set.val, 140);
  EXPECT_EQ(set.left_out, 10);
  const auto train = image_folder(set.folder + "/train", "");
  const auto val = image_folder(set.folder + "/val", "");
  EXPECT_EQ(train->count(), set.train);
  EXPECT_EQ(val->count(), set.val);
  EXPECT_EQ(train->class_names(), val->class_names());
  EXPECT_EQ(train->class_names().size(), 10U);
  const auto content = content_of(set.folder);
  for (const auto& name : train->class_names()) {
    const auto in_train = content.count("train/" + name + "/series_00.png");
    for (int i = 0; i < 4; ++i)
      EXPECT_EQ(content.count("train/" + name + "/series_0" + std::to_string(i) + ".png"),
                in_train);
    EXPECT_EQ(content.count("train/" + name + "/sub/drawing_b.png") +
                  content.count("val/" + name + "/sub/drawing_b.png"),
              1U);
  }
  options_.output = folder_.path() + "/b";
  EXPECT_EQ(content_of(prepare_clipart(options_).folder), content);
}

TEST(Digits, RefuseASheetOfAnotherSize) {
  if (!testing::has_dpkg()) GTEST_SKIP() << "no dpkg-deb here";
  const TemporaryFolder folder;
  const FakePackage package(folder, "opencv-doc");
  package.add("/usr/share/doc/opencv-doc/examples/data/digits.png", testing::square_png(20, 20, 0));
  PrepareOptions options;
  options.packages = {package.build()};
  options.output = folder.path() + "/data";
  EXPECT_NE(data_error([&] { prepare_digits(options); }).find("grey sheet of 2000x1000"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(options.output + "/digits.png"));
}

TEST(Fashion, IsPutWhereItIsFound) {
  if (!testing::has_dpkg()) GTEST_SKIP() << "no dpkg-deb here";
  const TemporaryFolder folder;
  const FakePackage package(folder, "dataset-fashion-mnist");
  const std::string at = "/usr/share/datasets/fashion-mnist/";
  for (const auto& [part, count] : {std::pair<std::string, uint32_t>{"train", 4}, {"t10k", 2}}) {
    package.add(at + part + "-images-idx3-ubyte.gz",
                testing::gzip(testing::idx_bytes({count, 28, 28}, Bytes(count * 784, 7))));
    package.add(at + part + "-labels-idx1-ubyte.gz",
                testing::gzip(testing::idx_bytes({count}, Bytes(count, 3))));
  }
  PrepareOptions options;
  options.packages = {package.build()};
  options.output = folder.path() + "/data";
  const PreparedSet set = prepare_fashion(options);
  EXPECT_TRUE(set.made);
  EXPECT_EQ(set.train, 4);
  EXPECT_EQ(set.val, 2);
  EXPECT_FALSE(prepare_fashion(options).made);
}

}  // namespace
}  // namespace pal
