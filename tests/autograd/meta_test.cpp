// The meta device: what a step allocates is counted, nothing runs and nothing is read.
#include <gtest/gtest.h>

#include "autograd/ops.h"
#include "kernels/arrays/reduce.h"
#include "runtime/allocator.h"

namespace pal {
namespace {

const Device kMeta = Device().as_meta();

TEST(Meta, CountsWithoutMemory) {
  const Allocator& allocator = Allocator::of(kMeta);
  const int64_t before = allocator.stats().current_total;
  const int64_t host = Allocator::cpu().stats().current_total;
  {
    // More than any machine has.
    const Tensor huge = Tensor::zeros({1 << 20, 1 << 20, 64}, DType::f32, Tag::stream, kMeta);
    EXPECT_EQ(allocator.stats().current_total - before, int64_t{1} << 48);
    EXPECT_EQ(huge.device(), kMeta);
    EXPECT_NE(huge.device(), Device());
    EXPECT_TRUE(huge.device().is_cpu());
    const Tensor copy = huge.clone(Tag::data);
    copy.copy_from(huge);
    copy.fill(1.0);
    EXPECT_EQ(allocator.stats().current_total - before, int64_t{1} << 49);
  }
  EXPECT_EQ(allocator.stats().current_total, before);
  EXPECT_EQ(Allocator::cpu().stats().current_total, host);
}

TEST(Meta, HasNoValues) {
  const Tensor number = Tensor::empty({1}, DType::f64, Tag::workspace, kMeta);
  number.fill(7.0);
  EXPECT_EQ(number.item(), 0.0);
  EXPECT_EQ(PAL_BACKEND(number, all_finite(number)), false);
  EXPECT_EQ(kMeta.str(), "meta cpu");
  EXPECT_EQ(Device::cuda(1).as_meta().str(), "meta cuda:1");
}

TEST(Meta, ValuesAreMadeOnTheCpuUnlessInItsScope) {
  EXPECT_EQ(device_of_values(), Device());
  {
    const DeviceScope scope(Device::cuda());
    EXPECT_EQ(device_of_values(), Device());
  }
  const DeviceScope scope(Device::cuda().as_meta());
  EXPECT_EQ(device_of_values(), Device::cuda().as_meta());
}

/// A GPU's step can be counted on a machine that has none.
TEST(Meta, OpsRunBackwardsToo) {
  const DeviceScope scope(Device::cuda().as_meta());
  Parameter weight({8, 3, 3, 4}, Init::constant(1.0));
  ParameterStore store;
  store.materialise({&weight}, DType::f32, 1);
  const Variable x(Tensor::zeros({2, 5, 5, 4}, DType::f32), true);
  const Variable y = relu(conv2d(x, {&weight, nullptr, {3, 1, 1}}));
  backward({y}, {Tensor::zeros({2, 5, 5, 8})});
  EXPECT_EQ(x.grad().shape(), x.value().shape());
  EXPECT_EQ(x.grad().device(), Device::cuda().as_meta());
}

}  // namespace
}  // namespace pal
