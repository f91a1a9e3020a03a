#include "tests/cuda/parity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "runtime/launch.cuh"

namespace pal::test {
namespace {

bool same_bits(const Tensor& a, const Tensor& b) {
  const Tensor left = a.dense();
  const Tensor right = b.dense();
  return std::memcmp(left.raw(), right.raw(), static_cast<size_t>(left.bytes())) == 0;
}

std::vector<Tensor> call(const std::function<std::vector<Tensor>()>& body, int64_t max_blocks) {
  cuda::set_max_blocks(max_blocks);
  std::vector<Tensor> results;
  for (const Tensor& t : body()) results.push_back(on_cpu(t).clone());
  cuda::set_max_blocks(0);
  return results;
}

}  // namespace

Tensor gpu_slice(const Tensor& values, int64_t begin, int64_t after) {
  const Tensor wide = Tensor::empty(values.shape().with_last(begin + values.channels() + after),
                                    values.dtype(), Tag::data, gpu());
  const bool floating = values.dtype() != DType::i32 && values.dtype() != DType::u8;
  wide.fill(floating ? std::numeric_limits<double>::quiet_NaN() : 77.0);
  const Tensor slice = wide.slice_channels(begin, values.channels());
  slice.copy_from(values);
  return slice;
}

std::vector<Tensor> run_schedules(const std::function<std::vector<Tensor>()>& body) {
  const std::vector<Tensor> first = call(body, 0);
  const auto compare = [&](int64_t max_blocks, const std::string& what) {
    const std::vector<Tensor> again = call(body, max_blocks);
    for (size_t i = 0; i < first.size(); ++i)
      EXPECT_TRUE(same_bits(first[i], again[i])) << "result " << i << " differs: " << what;
  };
  compare(1, "one block");
  compare(3, "three blocks");
#ifdef PAL_EMULATE_CUDA
  emulator::set_order(emulator::Order::reverse, 0);
  compare(0, "reverse order");
  emulator::set_order(emulator::Order::shuffled, 1);
  compare(2, "shuffled order");
  emulator::set_order(emulator::Order::forward, 0);
#endif
  return first;
}

void expect_close(const Tensor& wanted, const Tensor& found, double tolerance,
                  const std::string& what) {
  ASSERT_EQ(wanted.shape(), found.shape()) << what;
  ASSERT_EQ(wanted.dtype(), found.dtype()) << what;
  const Tensor a = on_cpu(wanted);
  const Tensor b = on_cpu(found);
  using testing::value_at;
  double largest = 1.0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    const double value = std::abs(value_at(a, i));
    if (std::isfinite(value) && value > largest) largest = value;
  }
  double worst = 0.0;
  int64_t where = 0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    const double left = value_at(a, i);
    const double right = value_at(b, i);
    if (left == right || (std::isnan(left) && std::isnan(right))) continue;
    const double error = std::abs(left - right);
    if (!std::isnan(error) && error <= worst) continue;
    worst = std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
    where = i;
  }
  EXPECT_LE(worst, tolerance * largest)
      << what << ": element " << where << " of " << a.shape().str() << ": " << value_at(a, where)
      << " against " << value_at(b, where);
}

void expect_same(const Tensor& wanted, const Tensor& found, const std::string& what) {
  ASSERT_EQ(wanted.shape(), found.shape()) << what;
  ASSERT_EQ(wanted.dtype(), found.dtype()) << what;
  EXPECT_TRUE(same_bits(on_cpu(wanted), on_cpu(found))) << what;
}

double tolerance_of(DType dtype) {
  switch (dtype) {
    case DType::bf16:
      return 1e-2;
    case DType::f32:
      return 1e-5;
    default:
      return 1e-12;
  }
}

}  // namespace pal::test
