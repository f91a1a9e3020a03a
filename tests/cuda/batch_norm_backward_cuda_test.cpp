// Gradients of batch norms on the GPU, and the same bits of all functions in every schedule.
#include <gtest/gtest.h>

#include "kernels/norm/batch_norm.h"
#include "tests/cuda/batch_norm_case.h"

namespace pal::test::batch_norm {
namespace {

using testing::value_at;

struct Options {
  bool relu, batch_statistics, accumulate;
  static Options of_bits(int bits) { return {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0}; }
};

BatchNormGrads backward(const Case& c, const Options& o) {
  BatchNormGrads grads;
  grads.x = c.old.clone();
  grads.weight = filled(c.x.channels(), 0.5, Device());
  grads.bias = filled(c.x.channels(), 0.25, Device());
  grads.accumulate_x = o.accumulate;
  cpu::batch_norm_backward(c.x, c.grad_y, c.args, o.relu, o.batch_statistics, grads);
  return grads;
}

BatchNormGrads backward_on_gpu(const Case& c, const Options& o, const Around& around,
                               bool aligned = true) {
  BatchNormGrads grads;
  grads.x = target(c.x.shape(), c.x.dtype(), 77.0, around);
  grads.x.copy_from(c.old);
  grads.weight = filled(c.x.channels(), 0.5, gpu());
  grads.bias = filled(c.x.channels(), 0.25, gpu());
  grads.accumulate_x = o.accumulate;
  cuda::batch_norm_backward(place(c.x, around), place(c.grad_y, around), c.args_on_gpu(aligned),
                            o.relu, o.batch_statistics, grads);
  return grads;
}

void expect_gradients(const BatchNormGrads& wanted, const BatchNormGrads& found,
                      const std::string& what) {
  expect_close(wanted.x, found.x, tolerance_of(wanted.x.dtype()), what + ", x");
  expect_close(wanted.weight, found.weight, 1e-5, what + ", weight");
  expect_close(wanted.bias, found.bias, 1e-5, what + ", bias");
}

TEST(BatchNormCuda, BackwardOfAllShapes) {
  int bits = 0;
  for (const Types& types : kTypes)
    for (const Shape& shape : kShapes)
      for (const Around& around : kArounds) {
        const Options o = Options::of_bits(bits++ % 8);
        const Case c(shape, types);
        expect_gradients(backward(c, o), backward_on_gpu(c, o, around, bits % 3 != 0),
                         text(shape, around, types.x, types.y));
      }
}

TEST(BatchNormCuda, BackwardWithAllOptions) {
  for (int bits = 0; bits < 8; ++bits)
    for (const Types& types : kTypes)
      for (const Shape& shape : {Shape{2, 3, 67, 6}, Shape{2, 7, 5, 24}}) {
        const Options o = Options::of_bits(bits);
        const Case c(shape, types);
        expect_gradients(backward(c, o), backward_on_gpu(c, o, {0, 0}),
                         text(shape, {0, 0}, types.x, types.y) + std::to_string(bits));
      }
}

TEST(BatchNormCuda, NothingIsWrittenBesideASlice) {
  for (const Around& around : kArounds) {
    const Case c({3, 5, 7, 24}, kTypes[0]);
    const Shape wide_shape = c.x.shape().with_last(around.begin + 24 + around.after);
    const Tensor wide = Tensor::empty(wide_shape, DType::f32, Tag::data, gpu());
    wide.fill(77.0);
    BatchNormGrads grads;
    grads.x = wide.slice_channels(around.begin, 24);
    cuda::batch_norm_backward(place(c.x, around), place(c.grad_y, around), c.args_on_gpu(), true,
                              true, grads);
    const Tensor all = on_cpu(wide);
    for (int64_t i = 0; i < all.numel(); ++i) {
      const int64_t channel = i % all.channels();
      if (channel < around.begin || channel >= around.begin + 24) {
        ASSERT_EQ(value_at(all, i), 77.0) << i;
      }
    }
  }
}

TEST(BatchNormCuda, UnwantedGradientsMayBeUndefined) {
  for (const bool batch_statistics : {false, true}) {
    const Case c({3, 5, 5, 7}, kTypes[0]);
    const Options o{true, batch_statistics, false};
    const BatchNormGrads all = backward_on_gpu(c, o, {0, 0});
    const auto run = [&](const BatchNormGrads& grads) {
      cuda::batch_norm_backward(on_gpu(c.x), on_gpu(c.grad_y), c.args_on_gpu(), o.relu,
                                o.batch_statistics, grads);
    };
    BatchNormGrads only_x;
    only_x.x = target(c.x.shape(), DType::f32, 77.0, {0, 0});
    run(only_x);
    expect_same(all.x, only_x.x, "x alone");
    BatchNormGrads only_weight;
    only_weight.weight = filled(7, 0.5, gpu());
    run(only_weight);
    expect_same(all.weight, only_weight.weight, "weight alone");
    BatchNormGrads only_bias;
    only_bias.bias = filled(7, 0.25, gpu());
    run(only_bias);
    expect_same(all.bias, only_bias.bias, "bias alone");
    run({});
  }
}

TEST(BatchNormCuda, SchedulesDoNotChangeABit) {
  for (const Types& types : {kTypes[0], kTypes[2]})
    for (const Shape& shape : {Shape{3, 5, 67, 6}, Shape{2, 20, 26, 24}, Shape{1, 3, 7, 257}}) {
      const Case c(shape, types);
      const Tensor x = on_gpu(c.x);
      run_schedules([&] {
        const int64_t channels = shape.last();
        const Tensor variance = filled(channels, 0.0, gpu());
        const BatchStatistics s = statistics_on(gpu(), channels);
        cuda::batch_statistics(x, s.mean, variance);
        cuda::batch_norm_statistics(x, s);
        const Tensor y = target(shape, types.y, 77.0, {0, 0});
        cuda::batch_norm_forward(x, c.args_on_gpu(), true, y);
        const BatchNormGrads grads = backward_on_gpu(c, {true, true, true}, {0, 0});
        return std::vector<Tensor>{s.mean, variance, s.inv_std,    s.running_mean, s.running_var,
                                   y,      grads.x,  grads.weight, grads.bias};
      });
    }
}

}  // namespace
}  // namespace pal::test::batch_norm
