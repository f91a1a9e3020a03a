// The reader of golden files itself, on files of tests/golden.
#include "tests/support/golden.h"

#include <gtest/gtest.h>

#include <limits>

namespace pal::testing {
namespace {

TEST(Golden, FilesOfEveryKindAreThereAndRead) {
  for (const char* prefix : {"coupling_slow_", "coupling_glow_", "coupling_down_", "dct_n", "haar_",
                             "gmm", "model_tiny"}) {
    EXPECT_FALSE(known_golden_files(prefix).empty()) << prefix;
    // Another set need not hold every kind, but what it holds can be read.
    for (const std::string& path : golden_files(prefix)) {
      const GoldenFile golden(path);
      EXPECT_TRUE(golden.config().is_object()) << path;
      for (const std::string& name : golden.names()) {
        const Tensor values = golden.tensor(name);
        EXPECT_TRUE(values.defined()) << path << " " << name;
        expect_close(golden, name, values);
      }
    }
  }
}

TEST(Golden, RankFourBecomesChannelsLast) {
  const GoldenFile golden(known_golden_files("haar_c3").at(0));
  EXPECT_EQ(golden.tensor("x").shape(), (Shape{4, 6, 8, 3}));
  const SafetensorsFile file = SafetensorsFile::read(golden.path());
  EXPECT_EQ(file.tensor("x").shape(), (Shape{4, 3, 6, 8}));
  // x[1, y = 2, x = 5, c = 2]
  EXPECT_EQ(golden.tensor("x").data<float>()[((1 * 6 + 2) * 8 + 5) * 3 + 2],
            file.tensor("x").data<float>()[((1 * 3 + 2) * 6 + 2) * 8 + 5]);
}

TEST(Golden, GroupsAndTolerancesFollowTheRule) {
  const GoldenFile golden(known_golden_files("coupling_down_bottleneck_hard_c6").at(0));
  EXPECT_EQ(golden.group_of("grad.s_hi.0.bias"), "grad");
  EXPECT_EQ(golden.group_of("out"), "out");
  EXPECT_NEAR(golden.largest_magnitude("out"), 4.1192626953125, 1e-6);
  // The file says grad 8.4e-7 (above the floor), out 3e-7 (below) and logdet 1e-7 (a sum).
  EXPECT_DOUBLE_EQ(golden.tolerance("grad", 2.0), 10 * 8.4e-7 * 2.0);
  EXPECT_DOUBLE_EQ(golden.tolerance("out", 2.0), 10 * 5e-7 * 2.0);
  EXPECT_DOUBLE_EQ(golden.tolerance("logdet", 2.0), 10 * 1e-6 * 2.0);
  EXPECT_DOUBLE_EQ(golden.tolerance("eval.acc", 2.0), 1e-6);
}

TEST(Golden, DifferencesFail) {
  const GoldenFile golden(known_golden_files("haar_c3").at(0));
  const double tolerance = golden.tolerance("out", golden.largest_magnitude("out"));
  const Tensor near = golden.tensor("out").to(DType::f64);
  near.data<double>()[7] += 0.5 * tolerance;
  EXPECT_TRUE(is_close(golden, "out", "out", near));
  near.data<double>()[7] += 2.0 * tolerance;
  EXPECT_FALSE(is_close(golden, "out", "out", near));
  const Tensor bad = golden.tensor("out");
  bad.data<float>()[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(is_close(golden, "out", "out", bad));
  EXPECT_FALSE(is_close(golden, "out", "out", golden.tensor("x")));
}

}  // namespace
}  // namespace pal::testing
