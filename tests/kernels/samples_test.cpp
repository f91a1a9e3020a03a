#include "kernels/arrays/samples.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "runtime/parallel.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::pitched_tensor;
using testing::random_tensor;
using testing::tensor_with;
using testing::value_at;
using testing::values_of;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// One element, odd widths, several pieces of a sample, many samples.
const Shape kShapes[] = {{1, 1}, {3, 7}, {2, 16385}, {301, 19}, {1, 8193}};

/// Numbers of `count` samples.
Tensor numbers(int64_t count, uint64_t key) { return random_tensor({count}, DType::f64, key); }

TEST(Samples, CombineByHand) {
  const Tensor a = tensor_with({2, 3}, DType::f64, {1, 2, 3, 4, 5, 6});
  const Tensor b = tensor_with({2, 3}, DType::f64, {-7, 0, 7, 0.5, -0.5, kNaN});
  const Tensor of_a = tensor_with({2}, DType::f64, {1, 10});
  const Tensor of_b = tensor_with({2}, DType::f64, {0.25, -2});
  const Tensor y = Tensor::empty({2, 3}, DType::f64);
  cpu::combine_samples({{a, of_a}}, y);
  EXPECT_EQ(values_of(y), (std::vector<double>{1, 2, 3, 40, 50, 60}));
  cpu::combine_samples({{a, of_a}, {b, of_b, true}}, y);
  expect_near(y.view_at(0, {5}), tensor_with({5}, DType::f64, {0.75, 2, 3.25, 38, 52}), 0.0);
  EXPECT_TRUE(std::isnan(value_at(y, 5))) << "the sign of NaN";
  // Four terms, into one of them.
  cpu::combine_samples({{a, of_a}, {a, of_a}, {a, of_b}, {a, of_b, true}}, a);
  EXPECT_EQ(values_of(a), (std::vector<double>{2.5, 4.75, 7, 70, 88, 106}));
}

TEST(Samples, CombineOfAnyShape) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : kShapes) {
      const Tensor a = random_tensor(shape, dtype, 1);
      const Tensor b = random_tensor(shape, dtype, 2);
      const Tensor of_a = numbers(shape[0], 3);
      const Tensor of_b = numbers(shape[0], 4);
      const Tensor wanted = Tensor::empty(shape, DType::f64);
      for (int64_t i = 0; i < shape.numel(); ++i) {
        const int64_t sample = i / shape[1];
        const double sign = value_at(b, i) > 0 ? 1.0 : -1.0;
        testing::set_value(wanted, i,
                           value_at(of_a, sample) * value_at(a, i) + value_at(of_b, sample) * sign);
      }
      const Tensor y = Tensor::empty(shape, dtype);
      cpu::combine_samples({{a, of_a}, {b, of_b, true}}, y);
      // A few roundings of sums up to about 20.
      expect_near(y, wanted, dtype == DType::f32 ? 5e-6 : 1e-14, shape.str());
      cpu::combine_samples({{a, of_a}, {b, of_b, true}}, b);
      EXPECT_EQ(values_of(b), values_of(y)) << "in place " << shape.str();
    }
}

TEST(Samples, ClampByHand) {
  const Tensor y = tensor_with({2, 4}, DType::f32, {-2, 0.5, 7, kNaN, -2, 0.5, 7, kInfinity});
  const Tensor centre = tensor_with({2, 4}, DType::f32, {0.25, 0.25, 0.25, 0.25, 0.75, 0, 1, 0.5});
  const Tensor radius = tensor_with({2}, DType::f64, {0.125, 0.5});
  const Tensor ball = y.clone();
  cpu::clamp_samples(ball, 0.0, 1.0, centre, radius);
  EXPECT_TRUE(std::isnan(value_at(ball, 3)));
  testing::set_value(ball, 3, 9);
  EXPECT_EQ(values_of(ball), (std::vector<double>{0.125, 0.375, 0.375, 9, 0.25, 0.5, 1, 1}));
  cpu::clamp_samples(y, -1.0, 1.0, {}, {});
  EXPECT_TRUE(std::isnan(value_at(y, 3)));
  testing::set_value(y, 3, 9);
  EXPECT_EQ(values_of(y), (std::vector<double>{-1, 0.5, 1, 9, -1, 0.5, 1, 1}));
}

TEST(Samples, ClampOfAnyShape) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : kShapes) {
      const Tensor y = random_tensor(shape, dtype, 5);
      const Tensor centre = random_tensor(shape, dtype, 6);
      const Tensor radius = Tensor::empty({shape[0]}, DType::f64);
      for (int64_t i = 0; i < shape[0]; ++i)
        testing::set_value(radius, i, 0.1 * static_cast<double>(i % 7));
      const Tensor before = y.clone();
      cpu::clamp_samples(y, -0.5, 0.5, centre, radius);
      for (int64_t i = 0; i < shape.numel(); ++i) {
        const double middle = value_at(centre, i), reach = value_at(radius, i / shape[1]);
        const double near = std::max(middle - reach, std::min(middle + reach, value_at(before, i)));
        ASSERT_NEAR(value_at(y, i), std::max(-0.5, std::min(0.5, near)), 1e-6) << shape.str();
      }
    }
}

TEST(Samples, DistancesByHand) {
  const Tensor a = tensor_with({3, 2}, DType::f32, {3, -4, 1, 1, kNaN, 9});
  const Tensor b = tensor_with({3, 2}, DType::f32, {1, 1, 1, kInfinity, 0, 0});
  const Tensor distances = Tensor::empty({3, 2}, DType::f64);
  cpu::sample_distances(a, {}, distances);
  EXPECT_EQ(values_of(distances.view_at(0, {4})), (std::vector<double>{25, 4, 2, 1}));
  EXPECT_TRUE(std::isnan(value_at(distances, 4)) && std::isnan(value_at(distances, 5)));
  cpu::sample_distances(a, b, distances);
  EXPECT_EQ(values_of(distances.view_at(0, {4})),
            (std::vector<double>{29, 5, kInfinity, kInfinity}));
  EXPECT_TRUE(std::isnan(value_at(distances, 4)) && std::isnan(value_at(distances, 5)));
}

TEST(Samples, DistancesOfAnyShape) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : kShapes) {
      const Tensor a = random_tensor(shape, dtype, 7);
      const Tensor b = random_tensor(shape, dtype, 8);
      const Tensor distances = Tensor::empty({shape[0], 2}, DType::f64);
      cpu::sample_distances(a, b, distances);
      for (int64_t sample = 0; sample < shape[0]; ++sample) {
        double squares = 0.0, largest = 0.0;
        for (int64_t i = sample * shape[1]; i < (sample + 1) * shape[1]; ++i) {
          const double difference = value_at(a, i) - value_at(b, i);
          squares += difference * difference;
          largest = std::max(largest, std::abs(difference));
        }
        EXPECT_NEAR(value_at(distances, 2 * sample), squares, 1e-12 * squares) << shape.str();
        EXPECT_EQ(value_at(distances, 2 * sample + 1), largest) << shape.str();
      }
    }
}

TEST(Samples, ANanAnywhereIsSeenInItsSampleAlone) {
  const Shape shape{3, 20001};
  const Tensor distances = Tensor::empty({3, 2}, DType::f64);
  for (const int64_t place : {int64_t{20001}, int64_t{30003}, int64_t{40001}}) {
    const Tensor a = random_tensor(shape, DType::f32, 9);
    testing::set_value(a, place, kNaN);
    cpu::sample_distances(a, {}, distances);
    for (int64_t i = 0; i < 6; ++i)
      EXPECT_EQ(std::isnan(value_at(distances, i)), i / 2 == 1) << place << ", " << i;
  }
}

TEST(Samples, NumberOfThreadsDoesNotMatter) {
  const Shape shape{5, 20011};
  std::vector<double> first;
  for (const int threads : {1, 2, 3}) {
    const ThreadScope scope(threads);
    const Tensor y = random_tensor(shape, DType::f32, 10);
    const Tensor centre = random_tensor(shape, DType::f32, 11);
    const Tensor distances = Tensor::empty({5, 2}, DType::f64);
    cpu::combine_samples({{y, numbers(5, 12)}, {centre, numbers(5, 13), true}}, y);
    cpu::clamp_samples(y, -1.0, 1.0, centre, tensor_with({5}, DType::f64, {0, 1, 2, 3, 4}));
    cpu::sample_distances(y, centre, distances);
    std::vector<double> values = values_of(distances);
    const std::vector<double> all = values_of(y);
    values.insert(values.end(), all.begin(), all.end());
    if (first.empty()) first = values;
    EXPECT_EQ(first, values) << threads;
  }
}

TEST(Samples, RefusesWrongArguments) {
  const auto zeros = [](const Shape& shape, DType dtype = DType::f32) {
    return Tensor::zeros(shape, dtype);
  };
  const Tensor y = zeros({2, 3}), two = zeros({2}, DType::f64);
  const auto refused = [](const std::string& text, const std::function<void()>& call) {
    expect_error(ErrorKind::usage, text, call);
  };
  refused("combine_samples: expected 1 to 4 terms, got 0", [&] { cpu::combine_samples({}, y); });
  const SampleTerm fine = {y, two};
  refused("combine_samples: expected 1 to 4 terms, got 5", [&] {
    cpu::combine_samples({fine, fine, fine, fine, fine}, y);
  });
  refused("combine_samples: expected values of shape [2, 3], got [3, 2]", [&] {
    cpu::combine_samples({{zeros({3, 2}), two}}, y);
  });
  refused("combine_samples: expected values in f32, got f64", [&] {
    cpu::combine_samples({{zeros({2, 3}, DType::f64), two}}, y);
  });
  refused("combine_samples: expected factors of shape [2], got nothing", [&] {
    cpu::combine_samples({{y, {}}}, y);
  });
  refused("combine_samples: expected factors in f64", [&] {
    cpu::combine_samples({{y, zeros({2})}}, y);
  });
  refused("combine_samples: expected a non-empty y of rank 2", [&] {
    cpu::combine_samples({{zeros({0, 3}), zeros({0}, DType::f64)}}, zeros({0, 3}));
  });
  refused("combine_samples: expected dense y", [&] {
    cpu::combine_samples({fine}, pitched_tensor({2, 3}, DType::f32));
  });
  refused("combine_samples: expected f32 or f64, got bf16", [&] {
    const Tensor narrow = zeros({2, 3}, DType::bf16);
    cpu::combine_samples({{narrow, two}}, narrow);
  });
  refused("clamp_samples: expected low up to high, got 1 and 0",
          [&] { cpu::clamp_samples(y, 1.0, 0.0, {}, {}); });
  refused("clamp_samples: expected low up to high",
          [&] { cpu::clamp_samples(y, kNaN, 0.0, {}, {}); });
  refused("clamp_samples: expected a centre with its radius",
          [&] { cpu::clamp_samples(y, 0.0, 1.0, y, {}); });
  refused("clamp_samples: expected radius of shape [2], got [3]",
          [&] { cpu::clamp_samples(y, 0.0, 1.0, y, zeros({3}, DType::f64)); });
  refused("sample_distances: expected b of shape [2, 3], got [2, 4]", [&] {
    cpu::sample_distances(y, zeros({2, 4}), zeros({2, 2}, DType::f64));
  });
  refused("sample_distances: expected distances of shape [2, 2], got [2]",
          [&] { cpu::sample_distances(y, {}, two); });
  refused("sample_distances: expected distances in f64", [&] {
    cpu::sample_distances(y, {}, zeros({2, 2}));
  });
}

}  // namespace
}  // namespace pal
