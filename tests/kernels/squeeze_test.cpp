#include "kernels/resample/squeeze.h"

#include <gtest/gtest.h>

#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::expect_near;
using testing::pitched_copy;
using testing::pitched_tensor;
using testing::random_tensor;
using testing::value_at;

TEST(Squeeze, FollowsTheDefinition) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16})
    for (const Shape& shape : {Shape{1, 2, 2, 1}, Shape{2, 4, 6, 3}, Shape{3, 2, 10, 17}}) {
      const Tensor x = random_tensor(shape, dtype, 1);
      const Tensor y = pitched_tensor({shape[0], shape[1] / 2, shape[2] / 2, 4 * shape[3]}, dtype);
      cpu::squeeze(pitched_copy(x), y);
      int64_t at = 0;
      for (int64_t n = 0; n < shape[0]; ++n)
        for (int64_t i = 0; i < shape[1] / 2; ++i)
          for (int64_t j = 0; j < shape[2] / 2; ++j)
            for (int64_t k = 0; k < 4 * shape[3]; ++k, ++at) {
              const int64_t row = 2 * i + k % 4 / 2;
              const int64_t column = 2 * j + k % 2;
              const int64_t source = ((n * shape[1] + row) * shape[2] + column) * shape[3] + k / 4;
              ASSERT_EQ(value_at(y, at), value_at(x, source)) << shape.str() << " at " << at;
            }
      const Tensor back = pitched_tensor(shape, dtype);
      cpu::unsqueeze(y, back);
      expect_near(back, x, 0.0);
    }
}

TEST(Squeeze, RefusesWrongArguments) {
  expect_error(ErrorKind::usage, "squeeze: expected an even height and width, got [1, 2, 5, 1]",
               [&] {
                 cpu::squeeze(Tensor::zeros({1, 2, 5, 1}, DType::f32),
                              Tensor::zeros({1, 1, 2, 4}, DType::f32));
               });
  expect_error(ErrorKind::usage, "unsqueeze: expected squeezed image in f32, got f64", [&] {
    cpu::unsqueeze(Tensor::zeros({1, 1, 1, 4}, DType::f64), Tensor::zeros({1, 2, 2, 1}));
  });
}

}  // namespace
}  // namespace pal
