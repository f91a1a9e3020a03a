// Batch norms of rows that come in parts: the same as in one piece.
#include <gtest/gtest.h>

#include "kernels/library/platform.h"
#include "kernels/norm/batch_norm.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::random_tensor;
using testing::relative_difference;
using testing::values_of;

struct Types {
  DType x, y, parameters;
  double tolerance;
};
constexpr Types kTypes[] = {{DType::f64, DType::f64, DType::f64, 1e-12},
                            {DType::f32, DType::f32, DType::f32, 1e-5},
                            {DType::f32, DType::bf16, DType::f32, 1e-5},
                            {DType::bf16, DType::bf16, DType::f32, 1e-2}};

struct Case {
  Case(const Shape& shape, const Types& t) {
    const int64_t channels = shape.last();
    x = random_tensor(shape, DType::f64, 1, 2.0).to(t.x);
    grad_y = random_tensor(shape, DType::f64, 2).to(t.y);
    for (Tensor* each : {&args.weight, &args.bias, &args.mean, &args.inv_std})
      *each = random_tensor({channels}, DType::f64, 3).to(t.parameters);
    statistics.mean = args.mean;
    statistics.inv_std = args.inv_std;
    statistics.running_mean = Tensor::zeros({channels}, t.parameters);
    statistics.running_var = Tensor::zeros({channels}, t.parameters);
  }
  std::vector<double> statistics_values() const {
    std::vector<double> all;
    for (const Tensor& each :
         {statistics.mean, statistics.inv_std, statistics.running_mean, statistics.running_var})
      for (const double value : values_of(each)) all.push_back(value);
    return all;
  }
  Tensor x, grad_y;
  BatchNormArgs args;
  BatchStatistics statistics;
};

const Shape kShapes[] = {{2, 1, 1, 1}, {5, 3, 7, 17}, {7, 16, 9, 31}, {3, 20, 20, 48}};

bool usable(const Types& t) { return t.y != DType::bf16 || cpu_has_bf16(); }

TEST(BatchNormParts, StatisticsAreThoseOfAllRows) {
  for (const Types& t : kTypes)
    for (const Shape& shape : kShapes) {
      if (!usable(t)) continue;
      const Case whole(shape, t);
      cpu::batch_norm_statistics(whole.x, whole.statistics);
      const Case parts(shape, t);
      const Tensor shift = parts.x.view_at(0, {shape.last()}).clone();
      const Tensor sums = Tensor::zeros({2, shape.last()}, DType::f64);
      for (int64_t n = 0; n < shape[0]; ++n)
        cpu::batch_norm_sums(parts.x.slice_batch(n, 1), shift, sums);
      cpu::batch_norm_statistics_of(sums, shift, parts.x.rows(), parts.statistics);
      EXPECT_LT(relative_difference(parts.statistics_values(), whole.statistics_values()), 1e-5)
          << shape.str() << name_of(t.x);
    }
}

TEST(BatchNormParts, GradientsAreThoseOfAllRows) {
  for (const Types& t : kTypes)
    for (const Shape& shape : kShapes)
      for (const int option : {0, 1, 2, 3}) {
        if (!usable(t)) continue;
        const bool relu = (option & 1) != 0;
        const bool used = (option & 2) != 0;
        const Case c(shape, t);
        const auto parameter = [&] { return Tensor::zeros({shape.last()}, t.parameters); };
        BatchNormGrads whole = {Tensor::zeros(shape, t.x), parameter(), parameter()};
        cpu::batch_norm_backward(c.x, c.grad_y, c.args, relu, used, whole);

        const Tensor sums = Tensor::zeros({2, shape.last()}, DType::f64);
        BatchNormGrads parts = {{}, parameter(), parameter()};
        // In the memory of grad_y where dtypes allow.
        const Tensor grad_x = t.x == t.y ? c.grad_y.clone() : Tensor::zeros(shape, t.x);
        const Tensor grad_y = t.x == t.y ? grad_x : c.grad_y;
        for (int64_t n = 0; n < shape[0]; ++n)
          cpu::batch_norm_backward_sums(c.x.slice_batch(n, 1), grad_y.slice_batch(n, 1), c.args,
                                        relu, sums);
        for (int64_t n = 0; n < shape[0]; ++n) {
          BatchNormGrads wanted = n == 0 ? parts : BatchNormGrads();
          wanted.x = grad_x.slice_batch(n, 1);
          cpu::batch_norm_backward_of(c.x.slice_batch(n, 1), grad_y.slice_batch(n, 1), c.args, relu,
                                      used, sums, c.x.rows(), wanted);
        }
        const std::string what = shape.str() + name_of(t.x) + std::to_string(option);
        EXPECT_LT(relative_difference(values_of(grad_x), values_of(whole.x)), t.tolerance) << what;
        EXPECT_LT(relative_difference(values_of(parts.weight), values_of(whole.weight)), 1e-5)
            << what;
        EXPECT_LT(relative_difference(values_of(parts.bias), values_of(whole.bias)), 1e-5) << what;
      }
}

TEST(BatchNormParts, RefusesWhatDoesNotFit) {
  const Case c({2, 3, 3, 4}, kTypes[1]);
  const Tensor sums = Tensor::zeros({2, 4}, DType::f64);
  const Tensor few = Tensor::zeros({2, 3}, DType::f64);
  const Tensor shift = Tensor::zeros({4});
  const Tensor none = Tensor::zeros({0, 3, 3, 4});
  expect_error(ErrorKind::usage, "sums of shape", [&] { cpu::batch_norm_sums(c.x, shift, few); });
  expect_error(ErrorKind::usage, "at least one row",
               [&] { cpu::batch_norm_sums(none, shift, sums); });
  expect_error(ErrorKind::usage, "shift of shape",
               [&] { cpu::batch_norm_sums(c.x, Tensor::zeros({3}), sums); });
  expect_error(ErrorKind::usage, "at least one row",
               [&] { cpu::batch_norm_statistics_of(sums, shift, 0, c.statistics); });
  expect_error(ErrorKind::usage, "sums of shape",
               [&] { cpu::batch_norm_backward_sums(c.x, c.grad_y, c.args, true, few); });
  expect_error(ErrorKind::usage, "sums of shape", [&] {
    cpu::batch_norm_backward_of(c.x, c.grad_y, c.args, true, true, few, 18, {});
  });
}

}  // namespace
}  // namespace pal
