#include "kernels/arrays/samples.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/cuda/parity.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using test::gpu;
using test::on_cpu;
using test::on_gpu;
using testing::expect_error;
using testing::random_tensor;
using testing::set_value;
using testing::tensor_with;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Accesses of one element and of four, one element, fewer than a warp, more than a block's turn.
const Shape kShapes[] = {{1, 1}, {3, 7}, {5, 8}, {2, 4099}, {301, 19}, {7, 3072}};

/// A copy on the GPU that begins `offset` elements behind an aligned address.
Tensor shifted_on_gpu(const Tensor& values, int64_t offset) {
  const Tensor buffer = Tensor::zeros({values.numel() + offset}, DType::f32, Tag::data, gpu());
  const Tensor copy = buffer.view_at(offset, values.shape());
  copy.copy_from(values);
  return copy;
}

/// Operands with a NaN and an infinity, where there is room for them.
struct Operands {
  explicit Operands(const Shape& shape)
      : a(random_tensor(shape, DType::f32, 1)),
        b(random_tensor(shape, DType::f32, 2)),
        of_a(random_tensor({shape[0]}, DType::f64, 3)),
        of_b(random_tensor({shape[0]}, DType::f64, 4)),
        radius(Tensor::empty({shape[0]}, DType::f64)) {
    for (int64_t i = 0; i < shape[0]; ++i) set_value(radius, i, 0.2 * static_cast<double>(i % 9));
    if (shape.numel() < 16) return;
    set_value(a, shape.numel() - 2, kNaN);
    set_value(a, 3, kInfinity);
    set_value(b, 5, 0.0);
    set_value(b, 6, kNaN);
  }
  Tensor a, b, of_a, of_b, radius;
};

TEST(SamplesCuda, CombineFollowsTheCpu) {
  for (const Shape& shape : kShapes)
    for (const int64_t offset : {0, 1, 4}) {
      const Operands host(shape);
      const Tensor a = shifted_on_gpu(host.a, offset), b = on_gpu(host.b);
      const Tensor of_a = on_gpu(host.of_a), of_b = on_gpu(host.of_b);
      const std::vector<SampleTerm> terms = {{host.b, host.of_a, true},
                                             {host.a, host.of_b},
                                             {host.b, host.of_b},
                                             {host.a, host.of_a, true}};
      const std::vector<SampleTerm> device_terms = {
          {b, of_a, true}, {a, of_b}, {b, of_b}, {a, of_a, true}};
      for (size_t count = 1; count <= kMostTerms; ++count) {
        const auto end = static_cast<std::ptrdiff_t>(count);
        const Tensor y = Tensor::empty(shape, DType::f32);
        const Tensor device_y = Tensor::empty(shape, DType::f32, Tag::data, gpu());
        cpu::combine_samples({terms.begin(), terms.begin() + end}, y);
        cuda::combine_samples({device_terms.begin(), device_terms.begin() + end}, device_y);
        // A product and a sum are rounded together or one by one.
        test::expect_close(y, device_y, 1e-6, shape.str() + " of " + std::to_string(count));
      }
      cpu::combine_samples(terms, host.a);
      cuda::combine_samples(device_terms, a);
      test::expect_close(host.a, a, 1e-6, shape.str() + " in place");
    }
}

TEST(SamplesCuda, ClampGivesTheBitsOfTheCpu) {
  for (const Shape& shape : kShapes)
    for (const int64_t offset : {0, 1, 4}) {
      const Operands host(shape);
      const Tensor ball = host.a.clone();
      const Tensor device_ball = shifted_on_gpu(host.a, offset);
      cpu::clamp_samples(ball, -0.7, 0.9, host.b, host.radius);
      cuda::clamp_samples(device_ball, -0.7, 0.9, on_gpu(host.b), on_gpu(host.radius));
      test::expect_close(ball, device_ball, 0.0, "ball " + shape.str());
      const Tensor range = shifted_on_gpu(host.a, offset);
      cpu::clamp_samples(host.a, -0.7, 0.9, {}, {});
      cuda::clamp_samples(range, -0.7, 0.9, {}, {});
      test::expect_close(host.a, range, 0.0, "range " + shape.str());
    }
}

TEST(SamplesCuda, DistancesFollowTheCpu) {
  for (const Shape& shape : kShapes) {
    const Operands host(shape);
    const Tensor wanted = Tensor::empty({shape[0], 2}, DType::f64);
    const Tensor found = Tensor::empty({shape[0], 2}, DType::f64, Tag::data, gpu());
    for (const bool two : {true, false}) {
      const Tensor b = two ? host.b : Tensor();
      cpu::sample_distances(host.a, b, wanted);
      cuda::sample_distances(on_gpu(host.a), two ? on_gpu(b) : Tensor(), found);
      // Sums in double in another order; the largest values are the same.
      test::expect_close(wanted, found, 1e-13, shape.str());
      const Tensor distances = on_cpu(found);
      for (int64_t i = 1; i < wanted.numel(); i += 2) {
        const double largest = testing::value_at(wanted, i);
        if (std::isnan(largest)) continue;
        EXPECT_EQ(largest, testing::value_at(distances, i)) << shape.str();
      }
    }
  }
}

TEST(SamplesCuda, ANanAnywhereIsSeenInItsSampleAlone) {
  constexpr int64_t kWidth = 1501;
  const Tensor distances = Tensor::empty({3, 2}, DType::f64, Tag::data, gpu());
  for (const int64_t place : {int64_t{0}, int64_t{255}, int64_t{700}, kWidth - 1}) {
    const Tensor a = random_tensor({3, kWidth}, DType::f32, 5);
    set_value(a, kWidth + place, kNaN);
    cuda::sample_distances(on_gpu(a), {}, distances);
    for (int64_t i = 0; i < 6; ++i)
      EXPECT_EQ(std::isnan(distances.item(i)), i / 2 == 1) << place << ", " << i;
  }
}

TEST(SamplesCuda, SchedulesGiveTheSameBits) {
  const Operands host({7, 1201});
  const Tensor a = on_gpu(host.a), b = on_gpu(host.b);
  const Tensor of_a = on_gpu(host.of_a), of_b = on_gpu(host.of_b), radius = on_gpu(host.radius);
  test::run_schedules([&] {
    const Tensor y = Tensor::empty(a.shape(), DType::f32, Tag::data, gpu());
    const Tensor distances = Tensor::empty({7, 2}, DType::f64, Tag::data, gpu());
    cuda::combine_samples({{a, of_a}, {b, of_b, true}}, y);
    const Tensor sum = y.clone();
    cuda::clamp_samples(y, -1.0, 1.0, b, radius);
    cuda::sample_distances(y, b, distances);
    return std::vector<Tensor>{sum, y, distances};
  });
}

TEST(SamplesCuda, RefusesWrongArguments) {
  const auto zeros = [](const Shape& shape, DType dtype = DType::f32) {
    return Tensor::zeros(shape, dtype, Tag::data, gpu());
  };
  const Tensor y = zeros({2, 3}), wide = zeros({2, 3}, DType::f64);
  const Tensor two = zeros({2}, DType::f64);
  expect_error(ErrorKind::usage, "combine_samples: expected 1 to 4 terms, got 0",
               [&] { cuda::combine_samples({}, y); });
  expect_error(ErrorKind::usage, "combine_samples: f64 streams are for the CPU backend", [&] {
    cuda::combine_samples({{wide, two}}, wide);
  });
  expect_error(ErrorKind::usage, "clamp_samples: expected a centre with its radius",
               [&] { cuda::clamp_samples(y, 0.0, 1.0, {}, two); });
  expect_error(ErrorKind::usage, "clamp_samples: f64 streams are for the CPU backend",
               [&] { cuda::clamp_samples(wide, 0.0, 1.0, {}, {}); });
  expect_error(ErrorKind::usage, "sample_distances: expected distances of shape [2, 2], got [2]",
               [&] { cuda::sample_distances(y, {}, two); });
  expect_error(ErrorKind::usage, "sample_distances: f64 streams are for the CPU backend", [&] {
    cuda::sample_distances(wide, {}, zeros({2, 2}, DType::f64));
  });
}

}  // namespace
}  // namespace pal
