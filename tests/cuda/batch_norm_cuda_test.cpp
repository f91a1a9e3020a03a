#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/norm/batch_norm.h"
#include "tests/cuda/parity.h"

namespace pal::test {
namespace {

using testing::expect_error;
using testing::set_value;
using testing::value_at;

/// One value, one row, accesses that several rows share, rows that fill none, several tiles,
/// several chunks.
const Shape kShapes[] = {{1, 1, 1, 1},  {2, 1, 1, 3},   {7, 1, 1, 64},   {1, 1, 1, 257},
                         {1013, 1},     {3, 5, 67, 6},  {1, 7, 3, 24},   {2, 23, 22, 24},
                         {5, 3, 7, 64}, {1, 3, 7, 130}, {1, 5, 11, 257}, {31, 300}};

/// Channels before and behind a slice; {0, 0}: dense.
struct Around {
  int64_t begin;
  int64_t after;
};
/// Any alignment, that of pairs, that of 16-byte accesses.
constexpr Around kArounds[] = {{0, 0}, {1, 2}, {2, 4}, {8, 8}};

struct Types {
  DType x;
  DType y;
};
constexpr Types kTypes[] = {
    {DType::f32, DType::f32}, {DType::f32, DType::bf16}, {DType::bf16, DType::bf16}};

Tensor place(const Tensor& values, const Around& around) {
  return around.begin + around.after > 0 ? gpu_slice(values, around.begin, around.after)
                                         : on_gpu(values);
}

/// A tensor on the GPU to write to, with this value in and around it.
Tensor target(const Shape& shape, DType dtype, double value, const Around& around) {
  const Tensor wide = Tensor::empty(shape.with_last(around.begin + shape.last() + around.after),
                                    dtype, Tag::data, gpu());
  wide.fill(value);
  return wide.slice_channels(around.begin, shape.last());
}

Tensor filled(int64_t channels, double value, Device device) {
  const Tensor t = Tensor::empty({channels}, DType::f32, Tag::data, device);
  t.fill(value);
  return t;
}

std::string text(const Shape& shape, const Around& around, DType x, DType y) {
  return shape.str() + " slice " + std::to_string(around.begin) + "+" +
         std::to_string(around.after) + " " + name_of(x) + " " + name_of(y);
}

BatchStatistics statistics_on(Device device, int64_t channels) {
  BatchStatistics s;
  s.mean = filled(channels, 9.0, device);
  s.inv_std = filled(channels, 9.0, device);
  s.running_mean = filled(channels, 0.5, device);
  s.running_var = filled(channels, 2.0, device);
  return s;
}

void expect_statistics(const Tensor& x, const Tensor& on_device, const std::string& what) {
  const int64_t channels = x.channels();
  const Tensor mean = filled(channels, 9.0, Device());
  const Tensor variance = filled(channels, 9.0, Device());
  cpu::batch_statistics(x, mean, variance);
  const Tensor found_mean = filled(channels, 9.0, gpu());
  const Tensor found_variance = filled(channels, 9.0, gpu());
  cuda::batch_statistics(on_device, found_mean, found_variance);
  expect_close(mean, found_mean, 1e-6, what + ", mean");
  expect_close(variance, found_variance, 1e-5, what + ", variance");

  const BatchStatistics wanted = statistics_on(Device(), channels);
  cpu::batch_norm_statistics(x, wanted);
  const BatchStatistics found = statistics_on(gpu(), channels);
  cuda::batch_norm_statistics(on_device, found);
  expect_same(found_mean, found.mean, what + ", mean in training");
  expect_close(wanted.inv_std, found.inv_std, 1e-5, what + ", inv_std");
  expect_close(wanted.running_mean, found.running_mean, 1e-6, what + ", running mean");
  expect_close(wanted.running_var, found.running_var, 1e-5, what + ", running variance");
}

TEST(BatchNormCuda, Statistics) {
  for (const Shape& shape : kShapes)
    for (const DType dtype : {DType::f32, DType::bf16})
      for (const Around& around : kArounds) {
        const Tensor x = random_tensor(shape, dtype, 1);
        expect_statistics(x, place(x, around), text(shape, around, dtype, dtype));
      }
}

TEST(BatchNormCuda, AFarMeanDoesNotDrownTheVariance) {
  for (const int64_t channels : {3, 8}) {
    const Tensor x = random_tensor({40, 30, channels}, DType::f32, 1);
    for (int64_t i = 0; i < x.numel(); ++i) x.data<float>()[i] += 3000.0F;
    expect_statistics(x, on_gpu(x), "far mean");
    double squares = 0.0;
    double sum = 0.0;
    const auto rows = static_cast<double>(x.rows());
    for (int64_t row = 0; row < x.rows(); ++row) {
      sum += value_at(x, row * channels) / rows;
      squares += std::pow(value_at(x, row * channels) - 3000.0, 2) / rows;
    }
    const Tensor mean = filled(channels, 0.0, gpu());
    const Tensor variance = filled(channels, 0.0, gpu());
    cuda::batch_statistics(on_gpu(x), mean, variance);
    EXPECT_NEAR(value_at(on_cpu(variance), 0), squares - std::pow(sum - 3000.0, 2), 1e-5);
    // A constant channel has none.
    x.fill(0.1);
    cuda::batch_statistics(on_gpu(x), mean, variance);
    expect_same(Tensor::zeros({channels}), variance, "variance of a constant");
  }
}

TEST(BatchNormCuda, InverseDeviation) {
  const Tensor variance = random_tensor({517}, DType::f32, 1);
  for (int64_t i = 0; i < 517; ++i) variance.data<float>()[i] *= variance.data<float>()[i];
  set_value(variance, 3, 0.0);
  const Tensor wanted = Tensor::empty({517});
  cpu::inverse_deviation(variance, 1e-5, wanted);
  const Tensor found = filled(517, 0.0, gpu());
  cuda::inverse_deviation(on_gpu(variance), 1e-5, found);
  expect_close(wanted, found, 1e-6, "inverse deviation");
}

/// Operands of forward and backward, rounded to their types, on the CPU.
struct Case {
  Case(const Shape& shape, Types types) {
    const int64_t channels = shape.last();
    x = random_tensor(shape, types.x, 1, 1.5);
    grad_y = random_tensor(shape, types.y, 2);
    old = random_tensor(shape, types.x, 3);
    args.mean = random_tensor({channels}, DType::f32, 4);
    args.inv_std = Tensor::empty({channels});
    args.weight = random_tensor({channels}, DType::f32, 5);
    args.bias = random_tensor({channels}, DType::f32, 6);
    for (int64_t c = 0; c < channels; ++c)
      set_value(args.inv_std, c, 0.5 + 0.1 * static_cast<double>(c % 7));
  }
  /// With parameters that 16-byte accesses do not suit if `aligned` is false.
  BatchNormArgs args_on_gpu(bool aligned = true) const {
    const auto move = [&](const Tensor& t) {
      if (aligned) return on_gpu(t);
      const Tensor wide = filled(t.numel() + 1, 0.0, gpu());
      const Tensor view = wide.view_at(1, t.shape());
      view.copy_from(t);
      return view;
    };
    return {move(args.mean), move(args.inv_std), move(args.weight), move(args.bias)};
  }

  Tensor x, grad_y, old;
  BatchNormArgs args;
};

TEST(BatchNormCuda, Forward) {
  for (const Types& types : kTypes)
    for (const Shape& shape : kShapes) {
      const Case c(shape, types);
      for (const bool relu : {false, true}) {
        const Tensor wanted = Tensor::empty(shape, types.y);
        cpu::batch_norm_forward(c.x, c.args, relu, wanted);
        for (const Around& around : kArounds) {
          const Tensor found = target(shape, types.y, 77.0, {0, 0});
          cuda::batch_norm_forward(place(c.x, around), c.args_on_gpu(!relu), relu, found);
          expect_close(wanted, found, tolerance_of(types.y), text(shape, around, types.x, types.y));
        }
      }
    }
}

TEST(BatchNormCuda, NanPassesTheRelu) {
  for (const Types& types : kTypes) {
    const Case c({40, 8}, types);
    set_value(c.x, 33, std::numeric_limits<double>::quiet_NaN());
    const Tensor y = target(c.x.shape(), types.y, 77.0, {0, 0});
    cuda::batch_norm_forward(on_gpu(c.x), c.args_on_gpu(), true, y);
    const Tensor found = on_cpu(y);
    for (int64_t i = 0; i < found.numel(); ++i)
      EXPECT_EQ(std::isnan(value_at(found, i)), i == 33) << i;
  }
}

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

/// Rows in parts: one image at a time.
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

TEST(BatchNormCuda, RefusesWhatDoesNotFit) {
  const Case c({2, 3, 3, 7}, kTypes[0]);
  const Tensor x = on_gpu(c.x);
  const BatchNormArgs args = c.args_on_gpu();
  const auto zeros = [](const Shape& shape, DType dtype = DType::f32) {
    return Tensor::zeros(shape, dtype, Tag::data, gpu());
  };
  const Tensor empty = zeros({0, 3, 3, 7});
  const Tensor seven = zeros({7});
  expect_error(ErrorKind::usage, "batch_norm_forward: expected at least one row, got [0, 3, 3, 7]",
               [&] { cuda::batch_norm_forward(empty, args, true, empty); });
  expect_error(ErrorKind::usage, "batch_norm_backward: expected at least one row",
               [&] { cuda::batch_norm_backward(empty, empty, args, true, true, {}); });
  expect_error(ErrorKind::usage, "batch_statistics: expected rows",
               [&] { cuda::batch_statistics(empty, seven, seven); });
  expect_error(ErrorKind::usage, "batch_norm_statistics: expected rows",
               [&] { cuda::batch_norm_statistics(empty, statistics_on(gpu(), 7)); });
  expect_error(ErrorKind::usage, "7 channels",
               [&] { cuda::batch_norm_statistics(x, statistics_on(gpu(), 6)); });
  expect_error(ErrorKind::usage, "expected inv_std of shape [7], got [6]",
               [&] { cuda::inverse_deviation(seven, 1e-5, zeros({6})); });
  expect_error(ErrorKind::usage, "no kernel for x of bf16 and y of f32", [&] {
    cuda::batch_norm_forward(zeros(c.x.shape(), DType::bf16), args, true, zeros(c.x.shape()));
  });
  const Tensor wide = zeros(c.x.shape(), DType::f64);
  expect_error(ErrorKind::usage, "batch_norm_forward: f64 streams are for the CPU backend",
               [&] { cuda::batch_norm_forward(wide, args, true, wide); });
  expect_error(ErrorKind::usage, "batch_norm_backward: f64 streams are for the CPU backend",
               [&] { cuda::batch_norm_backward(wide, wide, args, true, true, {}); });
  expect_error(ErrorKind::usage, "batch_statistics: f64 streams are for the CPU backend",
               [&] { cuda::batch_statistics(wide, seven, seven); });
  BatchNormGrads grads;
  grads.x = wide;
  expect_error(ErrorKind::usage, "expected grad_x like x",
               [&] { cuda::batch_norm_backward(x, x, args, true, true, grads); });
}

}  // namespace
}  // namespace pal::test
