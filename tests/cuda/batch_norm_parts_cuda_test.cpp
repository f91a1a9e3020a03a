// Batch norms on the GPU of rows that come in parts: the same as in one piece.
#include <gtest/gtest.h>

#include "kernels/norm/batch_norm.h"
#include "tests/cuda/batch_norm_case.h"

namespace pal::test::batch_norm {
namespace {

// One image at a time.
TEST(BatchNormCuda, PartsGiveTheStatisticsOfAllRows) {
  for (const Shape& shape : kShapes)
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const int64_t channels = shape.last();
      const Tensor x = random_tensor(shape, dtype, 5);
      const Tensor on_device = on_gpu(x);
      const Tensor shift = x.view_at(0, {channels}).clone();
      const Tensor sums = Tensor::zeros({2, channels}, DType::f64);
      const Tensor shift_gpu = on_gpu(shift);
      const Tensor sums_gpu = Tensor::zeros({2, channels}, DType::f64, Tag::data, gpu());
      for (int64_t n = 0; n < shape[0]; ++n) {
        cpu::batch_norm_sums(x.slice_batch(n, 1), shift, sums);
        cuda::batch_norm_sums(on_device.slice_batch(n, 1), shift_gpu, sums_gpu);
      }
      expect_close(sums, sums_gpu, 1e-5, shape.str() + ", sums");
      const BatchStatistics wanted = statistics_on(Device(), channels);
      const BatchStatistics found = statistics_on(gpu(), channels);
      cpu::batch_norm_statistics_of(sums, shift, x.rows(), wanted);
      cuda::batch_norm_statistics_of(sums_gpu, shift_gpu, x.rows(), found);
      expect_close(wanted.mean, found.mean, 1e-5, shape.str() + ", mean");
      expect_close(wanted.inv_std, found.inv_std, 1e-4, shape.str() + ", inv_std");
      expect_close(wanted.running_var, found.running_var, 1e-4, shape.str() + ", running_var");
    }
}

TEST(BatchNormCuda, PartsGiveTheGradientsOfAllRows) {
  for (const Types& types : kTypes)
    for (const Shape& shape : kShapes)
      for (const bool used : {false, true}) {
        const Case c(shape, types);
        const int64_t channels = shape.last();
        const Tensor x = on_gpu(c.x);
        const BatchNormArgs args = c.args_on_gpu();
        // Gradients take the memory of grad_y where dtypes allow.
        const Tensor grad_y = on_gpu(c.grad_y).clone();
        const Tensor grad_x =
            types.x == types.y ? grad_y : Tensor::zeros(shape, types.x, Tag::data, gpu());
        const Tensor sums = Tensor::zeros({2, channels}, DType::f64, Tag::data, gpu());
        for (int64_t n = 0; n < shape[0]; ++n)
          cuda::batch_norm_backward_sums(x.slice_batch(n, 1), grad_y.slice_batch(n, 1), args, true,
                                         sums);
        const auto zeros = [&](Device device) {
          return Tensor::zeros({channels}, DType::f32, Tag::data, device);
        };
        const Tensor weight = zeros(gpu());
        const Tensor bias = zeros(gpu());
        for (int64_t n = 0; n < shape[0]; ++n) {
          BatchNormGrads grads;
          grads.x = grad_x.slice_batch(n, 1);
          if (n == 0) grads.weight = weight;
          if (n == 0) grads.bias = bias;
          cuda::batch_norm_backward_of(x.slice_batch(n, 1), grad_y.slice_batch(n, 1), args, true,
                                       used, sums, c.x.rows(), grads);
        }
        const BatchNormGrads wanted = {Tensor::zeros(shape, types.x), zeros(Device()),
                                       zeros(Device())};
        cpu::batch_norm_backward(c.x, c.grad_y, c.args, true, used, wanted);
        const std::string what = text(shape, {0, 0}, types.x, types.y);
        expect_close(wanted.x, grad_x, 4 * tolerance_of(types.x), what);
        expect_close(wanted.weight, weight, 1e-4, what + ", weight");
        expect_close(wanted.bias, bias, 1e-4, what + ", bias");
      }
}

}  // namespace
}  // namespace pal::test::batch_norm
