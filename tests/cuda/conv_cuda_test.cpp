#include "kernels/library/conv.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "kernels/library/bias.h"
#include "kernels/library/planned.h"
#include "kernels/library/platform.h"
#include "runtime/cuda_graph.h"
#include "tests/cuda/libraries.h"
#include "tests/cuda/parity.h"
#include "tests/support/environment.h"
#include "tests/support/numeric.h"
#include "tests/support/temporary_folder.h"

namespace pal::test {
namespace {

using testing::expect_error;

/// One convolution's operands on the CPU, in f32 but perhaps rounded to bf16.
struct Case {
  Case(const Shape& x_shape, int64_t out, const ConvGeometry& g, DType dtype = DType::f32)
      : geometry(g), y_shape(g.out_shape(x_shape, out)) {
    const auto values = [&](const Shape& shape, uint64_t seed) {
      return random_tensor(shape, dtype, seed).to(DType::f32);
    };
    x = values(x_shape, 1);
    weight = values({out, g.kernel, g.kernel, x_shape.last()}, 2);
    bias = random_tensor({out}, DType::f32, 3);
    grad_y = values(y_shape, 4);
  }
  std::string name() const {
    return x.shape().str() + " -> " + y_shape.str() + " kernel " + std::to_string(geometry.kernel);
  }

  ConvGeometry geometry;
  Shape y_shape;
  Tensor x, weight, bias, grad_y;
};

struct Results {
  Tensor y, grad_x, grad_weight, grad_bias;
};

Results run_on_cpu(const Case& c, bool with_bias) {
  const auto filled = [](const Shape& shape, double value) {
    const Tensor t = Tensor::empty(shape, DType::f32, Tag::data, Device());
    t.fill(value);
    return t;
  };
  Results r{filled(c.y_shape, 77.0), filled(c.x.shape(), 77.0), filled(c.weight.shape(), 0.5),
            filled(c.bias.shape(), 0.5)};
  WeightShadow shadow;
  cpu::conv_forward(c.x, c.weight, with_bias ? c.bias : Tensor(), c.geometry, shadow, r.y);
  cpu::conv_backward_data(c.grad_y, c.weight, c.geometry, shadow, r.grad_x);
  cpu::conv_backward_weight(c.x, c.grad_y, c.geometry, r.grad_weight,
                            with_bias ? r.grad_bias : Tensor());
  return r;
}

/// A dense tensor on the GPU that begins `offset` elements into its memory.
Tensor at_offset(const Tensor& values, int64_t offset) {
  const Tensor flat = Tensor::empty({values.numel() + offset}, values.dtype(), Tag::data, gpu());
  const Tensor view = flat.view_at(offset, values.shape());
  view.copy_from(values);
  return view;
}

/// The same on the GPU in a dtype, every tensor `offset` elements off an aligned address. Results
/// are on the CPU in f32.
Results run_on_gpu(const Case& c, DType dtype, bool with_bias, int64_t offset = 0) {
  const auto filled = [&](const Shape& shape, DType type, double value) {
    const Tensor t = Tensor::empty(shape, type, Tag::data, Device());
    t.fill(value);
    return at_offset(t, offset);
  };
  const Tensor x = at_offset(c.x.to(dtype), offset);
  const Tensor grad_y = at_offset(c.grad_y.to(dtype), offset);
  const Tensor weight = at_offset(c.weight, offset);
  const Tensor bias = with_bias ? at_offset(c.bias, offset) : Tensor();
  const Results r{filled(c.y_shape, dtype, 77.0), filled(c.x.shape(), dtype, 77.0),
                  filled(c.weight.shape(), DType::f32, 0.5),
                  filled(c.bias.shape(), DType::f32, 0.5)};
  WeightShadow shadow;
  cuda::conv_forward(x, weight, bias, c.geometry, shadow, r.y);
  cuda::conv_backward_data(grad_y, weight, c.geometry, shadow, r.grad_x);
  cuda::conv_backward_weight(x, grad_y, c.geometry, r.grad_weight,
                             with_bias ? r.grad_bias : Tensor());
  const auto back = [](const Tensor& t) { return on_cpu(t).to(DType::f32); };
  return {back(r.y), back(r.grad_x), back(r.grad_weight), back(r.grad_bias)};
}

void expect_alike(const Results& wanted, const Results& found, double tolerance,
                  const std::string& name) {
  expect_close(wanted.y, found.y, tolerance, name + " y");
  expect_close(wanted.grad_x, found.grad_x, tolerance, name + " grad_x");
  expect_close(wanted.grad_weight, found.grad_weight, tolerance, name + " grad_weight");
  expect_close(wanted.grad_bias, found.grad_bias, tolerance, name + " grad_bias");
}

std::vector<Case> cases(DType dtype) {
  std::vector<Case> made;
  const ConvGeometry geometries[] = {{1, 1, 0}, {1, 2, 0}, {3, 1, 1}, {3, 2, 1},
                                     {3, 1, 0}, {7, 2, 3}, {7, 1, 3}};
  const std::pair<int64_t, int64_t> channels[] = {{1, 1},  {1, 24},   {3, 130},
                                                  {24, 3}, {130, 24}, {24, 24}};
  for (const ConvGeometry& g : geometries)
    for (const auto& [in, out] : channels) {
      // Even and odd sizes: with a stride of 2, the last row or column may be read by no window.
      made.emplace_back(Shape{1, 7, 9, in}, out, g, dtype);
      made.emplace_back(Shape{2, 8, 7, in}, out, g, dtype);
    }
  made.emplace_back(Shape{1, 1, 1, 3}, 5, ConvGeometry{3, 1, 1}, dtype);
  made.emplace_back(Shape{2, 1, 7, 3}, 5, ConvGeometry{3, 2, 1}, dtype);
  made.emplace_back(Shape{3, 1, 1, 24}, 3, ConvGeometry{1, 1, 0}, dtype);
  return made;
}

void check_all(DType dtype, double tolerance) {
  for (const Case& c : cases(dtype))
    for (const bool with_bias : {false, true})
      expect_alike(run_on_cpu(c, with_bias), run_on_gpu(c, dtype, with_bias), tolerance, c.name());
}

TEST(ConvCuda, AgreesWithTheCpu) { check_all(DType::f32, 1e-4); }

TEST(ConvCuda, Tf32AgreesWithinItsRounding) {
  const MathScope tf32({.tf32 = true});
  check_all(DType::f32, 2e-2);
}

TEST(ConvCuda, Bf16AgreesWithinItsRounding) { check_all(DType::bf16, 3e-2); }

TEST(ConvCuda, AnyAddressWillDo) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const ConvGeometry& g : {ConvGeometry{1, 1, 0}, ConvGeometry{3, 1, 1}}) {
      const Case c({2, 7, 5, 24}, 13, g, dtype);
      const Results wanted = run_on_cpu(c, true);
      for (const int64_t offset : {1, 3})
        expect_alike(wanted, run_on_gpu(c, dtype, true, offset), dtype == DType::bf16 ? 3e-2 : 1e-4,
                     c.name() + " off by some elements");
    }
  }
}

TEST(ConvCuda, SameBitsEveryTime) {
  for (const ConvGeometry& g : {ConvGeometry{1, 1, 0}, ConvGeometry{3, 2, 1}}) {
    const Case c({4, 14, 14, 24}, 40, g);
    const Results first = run_on_gpu(c, DType::f32, true);
    for (int i = 0; i < 2; ++i) {
      const Results again = run_on_gpu(c, DType::f32, true);
      expect_same(first.y, again.y, c.name() + " y");
      expect_same(first.grad_x, again.grad_x, c.name() + " grad_x");
      expect_same(first.grad_weight, again.grad_weight, c.name() + " grad_weight");
      expect_same(first.grad_bias, again.grad_bias, c.name() + " grad_bias");
    }
  }
}

TEST(ConvCuda, WeightsMayChange) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const int64_t offset : {0, 1})
      for (const ConvGeometry& g : {ConvGeometry{1, 1, 0}, ConvGeometry{3, 1, 1}}) {
        const Case c({2, 6, 6, 24}, 24, g, dtype);
        const Tensor x = on_gpu(c.x.to(dtype));
        const Tensor grad_y = on_gpu(c.grad_y.to(dtype));
        const Tensor weight = at_offset(c.weight, offset);
        const Tensor y = Tensor::empty(c.y_shape, dtype, Tag::data, gpu());
        const Tensor grad_x = Tensor::empty(c.x.shape(), dtype, Tag::data, gpu());
        WeightShadow shadow;
        const auto both = [&] {
          cuda::conv_forward(x, weight, {}, g, shadow, y);
          cuda::conv_backward_data(grad_y, weight, g, shadow, grad_x);
          return std::pair{on_cpu(y).to(DType::f32), on_cpu(grad_x).to(DType::f32)};
        };
        const auto first = both();
        const Tensor doubled = c.weight.clone();
        for (int64_t i = 0; i < doubled.numel(); ++i) doubled.data<float>()[i] *= 2.0F;
        weight.copy_from(doubled);
        ++shadow.version;
        const auto second = both();
        // Doubling is exact in any of these dtypes.
        for (int64_t i = 0; i < first.first.numel(); ++i)
          ASSERT_EQ(second.first.data<float>()[i], 2.0F * first.first.data<float>()[i]);
        for (int64_t i = 0; i < first.second.numel(); ++i)
          ASSERT_EQ(second.second.data<float>()[i], 2.0F * first.second.data<float>()[i]);
      }
  }
}

TEST(ConvCuda, ARecordedGraphFollowsTheWeights) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const ConvGeometry& g : {ConvGeometry{1, 1, 0}, ConvGeometry{3, 1, 1}}) {
      const Case c({2, 6, 6, 24}, 24, g, dtype);
      const Tensor x = on_gpu(c.x.to(dtype));
      const Tensor weight = at_offset(c.weight, 1);
      const Tensor bias = on_gpu(c.bias);
      const Tensor y = Tensor::empty(c.y_shape, dtype, Tag::data, gpu());
      WeightShadow shadow;
      Allocator::Pool pool(gpu());
      CudaGraph graph;
      const auto forward = [&] { cuda::conv_forward(x, weight, bias, g, shadow, y); };
      {
        const Allocator::PoolScope scope(pool);
        forward();
        // The shadow is up to date now, and yet the graph must not rely on it.
        graph.capture(forward);
      }
      Case changed = c;
      changed.weight = random_tensor(c.weight.shape(), dtype, 9).to(DType::f32);
      weight.copy_from(changed.weight);
      graph.launch();
      expect_close(run_on_cpu(changed, true).y, on_cpu(y).to(DType::f32),
                   dtype == DType::bf16 ? 3e-2 : 1e-4, c.name());
    }
  }
}

TEST(ConvCuda, AddsABias) {
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const int64_t channels : {1, 3, 8, 24, 130}) {
      const Tensor y = random_tensor({3, 5, 7, channels}, dtype, 1);
      const Tensor bias = random_tensor({channels}, DType::f32, 2);
      const Tensor wanted = y.to(DType::f32);
      for (int64_t i = 0; i < wanted.numel(); ++i)
        wanted.data<float>()[i] += bias.data<float>()[i % channels];
      for (const int64_t begin : {0, 1, 8}) {
        const auto found = run_schedules([&]() -> std::vector<Tensor> {
          const Tensor here = gpu_slice(y, begin, begin);
          cuda::add_bias(at_offset(bias, begin), here);
          return {here};
        });
        expect_same(wanted.to(dtype), found[0], "channels " + std::to_string(channels));
      }
      const Tensor narrow = bias.to(dtype);
      const Tensor here = on_gpu(y), there = on_gpu(y);
      cuda::add_bias(on_gpu(narrow), here);
      cuda::add_bias(on_gpu(narrow.to(DType::f32)), there);
      expect_same(there, here, "bias in the dtype of y");
    }
}

TEST(ConvCuda, ProductsTakeABiasInBf16) {
  const Tensor x = on_gpu(random_tensor({3, 5, 7, 24}, DType::f32, 1).to(DType::bf16));
  const Tensor weight = on_gpu(random_tensor({40, 1, 1, 24}, DType::f32, 2, 0.2));
  const Tensor bias = random_tensor({40}, DType::f32, 3).to(DType::bf16);
  for (const bool autotune : {false, true}) {
    const MathScope scope({.autotune = autotune});
    const Tensor y = Tensor::zeros({3, 5, 7, 40}, DType::bf16, Tag::data, gpu());
    const Tensor wanted = Tensor::zeros({3, 5, 7, 40}, DType::bf16, Tag::data, gpu());
    WeightShadow shadow;
    cuda::conv_forward(x, weight, on_gpu(bias), {1, 1, 0}, shadow, y);
    cuda::conv_forward(x, weight, on_gpu(bias.to(DType::f32)), {1, 1, 0}, shadow, wanted);
    expect_close(wanted, y, 1e-2, autotune ? "measured" : "proposed");
  }
}

TEST(ConvCuda, RefusesWhatDoesNotFit) {
  const ConvGeometry g{3, 1, 1};
  WeightShadow shadow;
  const auto zeros = [](const Shape& shape, DType dtype = DType::f32) {
    return Tensor::zeros(shape, dtype, Tag::data, gpu());
  };
  const Tensor x = zeros({2, 5, 5, 3});
  const Tensor weight = zeros({4, 3, 3, 3});
  const Tensor y = zeros({2, 5, 5, 4});
  expect_error(ErrorKind::usage, "weight [4, 3, 3, 2] does not fit 3 channels in", [&] {
    cuda::conv_forward(x, zeros({4, 3, 3, 2}), {}, g, shadow, y);
  });
  expect_error(ErrorKind::usage, "expected y [2, 5, 5, 4], got [2, 5, 6, 4]", [&] {
    cuda::conv_forward(x, weight, {}, g, shadow, zeros({2, 5, 6, 4}));
  });
  expect_error(ErrorKind::usage, "dense", [&] {
    cuda::conv_forward(zeros({2, 5, 5, 5}).slice_channels(1, 3), weight, {}, g, shadow, y);
  });
  expect_error(ErrorKind::usage, "conv_backward_data", [&] {
    cuda::conv_backward_data(y, weight, g, shadow, zeros({2, 5, 5, 2}));
  });
  expect_error(ErrorKind::usage, "expected bias of shape [4], got [5]",
               [&] { cuda::conv_backward_weight(x, y, g, weight, zeros({5})); });
  expect_error(ErrorKind::usage, "conv_forward: f64 streams are for the CPU backend", [&] {
    cuda::conv_forward(zeros({2, 5, 5, 3}, DType::f64), zeros({4, 3, 3, 3}, DType::f64), {}, g,
                       shadow, zeros({2, 5, 5, 4}, DType::f64));
  });
}

#ifndef PAL_EMULATE_CUDA

TEST(ConvCuda, LargeBatchesAreAsSmallOnes) {
  // In f32 so many images would want more scratch memory than is given: parts are computed.
  const ConvGeometry g{3, 1, 1};
  const int64_t images = 24;
  const Tensor x = on_gpu(random_tensor({images, 224, 224, 3}, DType::f32, 1));
  const Tensor grad_y = on_gpu(random_tensor({images, 224, 224, 64}, DType::f32, 2));
  const Tensor weight = on_gpu(random_tensor({64, 3, 3, 3}, DType::f32, 3));
  const auto run = [&](int64_t at_a_time) {
    const auto made = [](const Shape& shape) {
      return Tensor::zeros(shape, DType::f32, Tag::data, gpu());
    };
    const Results r{made(grad_y.shape()), made(x.shape()), made(weight.shape()), made({64})};
    WeightShadow shadow;
    for (int64_t begin = 0; begin < images; begin += at_a_time) {
      const auto part = [&](const Tensor& t) { return t.slice_batch(begin, at_a_time); };
      cuda::conv_forward(part(x), weight, {}, g, shadow, part(r.y));
      cuda::conv_backward_data(part(grad_y), weight, g, shadow, part(r.grad_x));
      cuda::conv_backward_weight(part(x), part(grad_y), g, r.grad_weight, r.grad_bias);
    }
    return r;
  };
  expect_alike(run(4), run(images), 1e-4, "24 images");
}

TEST(ConvCuda, MeasuredEnginesAreKept) {
  const testing::TemporaryFolder folder;
  const testing::Environment cache("XDG_CACHE_HOME", folder.path());
  const Case c({3, 19, 17, 24}, 40, {3, 1, 1});
  {
    const MathScope autotune({.autotune = true});
    expect_alike(run_on_cpu(c, true), run_on_gpu(c, DType::f32, true), 1e-4, c.name());
  }
  const std::string choices = library_choices();
  for (const char* pass : {"conv_forward", "conv_backward_data", "conv_backward_weight"})
    EXPECT_NE(choices.find(std::string(pass) + " f32 [3, 19, 17, 24] k3 s1 p1 24->40"),
              std::string::npos)
        << choices;
  EXPECT_TRUE(std::filesystem::exists(folder.file("palindrome")));
}

TEST(ConvCuda, PlansAreNoted) {
  EXPECT_NE(cuda_library_versions().find("cuDNN 9."), std::string::npos);
  (void)run_on_gpu(Case({2, 6, 5, 24}, 7, {3, 1, 1}), DType::f32, false);
  const auto planned = planned_implementations();
  EXPECT_TRUE(std::any_of(planned.begin(), planned.end(), [](const std::string& line) {
    return line.find("conv_forward f32 [2, 6, 5, 24] k3 s1 p1 24->7: cuDNN engine") == 0;
  }));
}

#endif

}  // namespace
}  // namespace pal::test
