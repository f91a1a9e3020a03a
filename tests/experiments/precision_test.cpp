// What --precision means for the GPU's libraries.
#include <gtest/gtest.h>

#include "experiments/command_line/run_options.h"
#include "kernels/library/cuda_settings.h"

namespace pal {
namespace {

class Precision : public ::testing::Test {
 protected:
  ~Precision() override { cuda_math() = before_; }

 private:
  CudaMath before_ = cuda_math();
};

TEST_F(Precision, OfGradientsIsThatOfTheSubnets) {
  ModelConfig config;
  const auto gradients_are_rounded = [&](const char* precision) {
    RunOptions options;
    options.compute.precision = precision;
    set_precision(options, config);
    return cuda_math().tf32_gradients;
  };
  EXPECT_FALSE(gradients_are_rounded(""));
  EXPECT_TRUE(gradients_are_rounded("bf16"));
  EXPECT_EQ(config.compute, DType::bf16);
  EXPECT_TRUE(gradients_are_rounded(""));
  EXPECT_FALSE(gradients_are_rounded("fp32"));
}

TEST_F(Precision, InFloatNothingIsRounded) {
  cuda_math() = {.tf32 = true, .tf32_gradients = true};
  (void)apply_compute_options({.device = "cpu", .precision = "fp32"});
  EXPECT_FALSE(cuda_math().tf32);
  EXPECT_FALSE(cuda_math().tf32_gradients);
}

}  // namespace
}  // namespace pal
