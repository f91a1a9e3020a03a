#include "experiments/sampling/test_images.h"

#include <gtest/gtest.h>

#include "runtime/error.h"

namespace pal {
namespace {

using Indices = std::vector<int64_t>;

/// Images that have labels and names, but no pixels.
class NamedSet : public Dataset {
 public:
  NamedSet(std::vector<int32_t> labels, std::vector<std::string> names)
      : Dataset(facts(labels)), labels_(std::move(labels)), names_(std::move(names)) {}
  using Dataset::batches;
  std::unique_ptr<Batches> batches(std::vector<int64_t>, const LoaderOptions&) const override {
    return nullptr;
  }
  int32_t label(int64_t index) const override { return labels_[static_cast<size_t>(index)]; }
  std::string item_name(int64_t index) const override { return names_[static_cast<size_t>(index)]; }

 private:
  static DatasetInfo facts(const std::vector<int32_t>& labels) {
    DatasetInfo info;
    info.name = "set";
    info.count = static_cast<int64_t>(labels.size());
    info.class_names = {"a", "b", "c", "d"};
    return info;
  }

  std::vector<int32_t> labels_;
  std::vector<std::string> names_;
};

std::string refusal(const Dataset& set, const std::string& text) {
  try {
    named_image(set, text, "--images");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  return "";
}

TEST(TestImages, SpreadOverClasses) {
  // Class 1 has no images, class 3 one.
  const NamedSet set({2, 2, 0, 0, 2, 3, 0, 0}, {});
  EXPECT_EQ(spread_over_classes(set, 2), (Indices{2, 0}));
  EXPECT_EQ(spread_over_classes(set, 8), (Indices{2, 0, 5, 3, 1, 6, 4, 7}));
  EXPECT_EQ(spread_over_classes(set, 0), Indices{});
  EXPECT_THROW(spread_over_classes(set, 9), Error);
}

TEST(TestImages, AreFoundByNumberAndName) {
  const NamedSet set({0, 0, 1, 1, 1}, {"val/squares/003.jpg", "val/squares/13.jpg",
                                       "val/circles/003.jpg", "x.tar:circles/7.jpg", "val/5"});
  EXPECT_EQ(named_image(set, "4", "--images"), 4);
  EXPECT_EQ(named_image(set, "val/circles/003.jpg", "--images"), 2);
  EXPECT_EQ(named_image(set, "./val/circles//003.jpg", "--images"), 2);
  EXPECT_EQ(named_image(set, "circles/003.jpg", "--images"), 2);
  EXPECT_EQ(named_image(set, "13.jpg", "--images"), 1);
  EXPECT_EQ(named_image(set, "circles/7.jpg", "--images"), 3);
  EXPECT_EQ(refusal(set, "5"), "--images: set has test images 0 to 4, got 5");
  EXPECT_EQ(refusal(set, "-1"), "--images: set has test images 0 to 4, got -1");
  EXPECT_EQ(refusal(set, "99999999999999999999"),
            "--images: set has test images 0 to 4, got 99999999999999999999");
  EXPECT_EQ(refusal(set, "3.jpg"),
            "--images: set has no test image '3.jpg'; its first is val/squares/003.jpg, number 0 "
            "of 5");
  EXPECT_EQ(refusal(set, "003.jpg"),
            "--images: '003.jpg' may be any of 2 test images (val/squares/003.jpg, "
            "val/circles/003.jpg); name its folder too");
}

}  // namespace
}  // namespace pal
