#include "data/sources/class_subset.h"

#include <gtest/gtest.h>

#include "data/sets/open_dataset.h"
#include "runtime/error.h"
#include "tests/support/error_text.h"

namespace pal {
namespace {

ImageSet three_images() {
  ImageSet set;
  set.name = "three";
  set.count = 3;
  set.height = set.width = set.channels = 1;
  set.classes = 3;
  set.class_names = {"cat", "dog", "hen"};
  set.pixels = {10, 20, 30};
  set.labels = {2, 1, 0};
  set_fingerprint(set);
  return set;
}

TEST(ClassSubset, KeepsImagesInOrderAndCountsLabelsAnew) {
  const ImageSet set = three_images();
  const ImageSet kept = image_subset(set, choose_classes(set.class_names, {true, false, true}));
  EXPECT_EQ(kept.class_names, (std::vector<std::string>{"cat", "hen"}));
  EXPECT_EQ(kept.classes, 2);
  EXPECT_EQ(kept.count, 2);
  EXPECT_EQ(kept.pixels, (std::vector<uint8_t>{10, 30}));
  EXPECT_EQ(kept.labels, (std::vector<int32_t>{1, 0}));
  EXPECT_NE(kept.fingerprint, set.fingerprint);
}

TEST(ClassSubset, RefusesToLeaveNothing) {
  ImageSet set = three_images();
  set.labels = {1, 1, 1};
  EXPECT_THROW(image_subset(set, choose_classes(set.class_names, {true, false, true})), Error);
}

TEST(ClassSubset, DividesASetWithoutRest) {
  DatasetSpec spec;
  spec.name = "synthetic:4:40:8";
  const int64_t all = open_dataset(spec, Split::train)->info().count;
  spec.left_out = {"stripes 1", "stripes 3", "no such class"};
  const auto without = open_dataset(spec, Split::train);
  EXPECT_EQ(without->info().class_names, (std::vector<std::string>{"stripes 0", "stripes 2"}));
  spec.left_out.clear();
  spec.only = {"stripes 3", "stripes 1"};
  const auto only = open_dataset(spec, Split::train);
  EXPECT_EQ(only->info().class_names, (std::vector<std::string>{"stripes 1", "stripes 3"}));
  EXPECT_EQ(without->info().count + only->info().count, all);
}

TEST(ClassSubset, RefusesUnknownClassesWhereTheyCount) {
  DatasetSpec spec;
  spec.name = "synthetic:4:40:8";
  spec.left_out = {"strips 1"};
  spec.same_classes = true;
  EXPECT_NE(testing::usage_error([&] {
              open_dataset(spec, Split::train);
            }).find("did you mean 'stripes 1'?"),
            std::string::npos);
  spec.left_out = {"stripes 0", "stripes 1", "stripes 2", "stripes 3"};
  EXPECT_THROW(open_dataset(spec, Split::train), Error);
}

}  // namespace
}  // namespace pal
