// Elementwise work, sums, the optimizer, steps on images and image normalisation.
#include <fmt/format.h>

#include "bench/kernels/kernel_case.h"
#include "kernels/arrays/elementwise.h"
#include "kernels/arrays/reduce.h"
#include "kernels/arrays/samples.h"
#include "kernels/image/image.h"
#include "kernels/optimizer/optimizer.h"
#include "kernels/optimizer/tanh_adam.h"

namespace pal::bench {
namespace {

void add_elementwise_cases(const Size& size) {
  const auto name = [&](const char* op, DType dtype) {
    return fmt::format("{}/{}/{}", op, size.name, name_of(dtype));
  };
  for (const DType dtype : {DType::f32, DType::bf16}) {
    add_case(name("add_into", dtype), [=](benchmark::State& state) {
      const Tensor x = random_tensor({size.elements}, dtype);
      const Tensor y = random_tensor({size.elements}, dtype);
      against_copy(state, {x.bytes() + 2 * y.bytes(), x.numel()},
                   [&] { PAL_BACKEND(x, add_into(x, y)); });
    });
    add_case(name("relu_forward", dtype), [=](benchmark::State& state) {
      const Tensor x = random_tensor({size.elements}, dtype);
      const Tensor y = Tensor::empty(x.shape(), dtype);
      against_copy(state, {x.bytes() + y.bytes()}, [&] { PAL_BACKEND(x, relu_forward(x, y)); });
    });
    add_case(name("relu_backward", dtype), [=](benchmark::State& state) {
      const Tensor y = random_tensor({size.elements}, dtype);
      const Tensor grad_y = random_tensor({size.elements}, dtype);
      const Tensor grad_x = Tensor::empty(y.shape(), dtype);
      against_copy(state, {3 * y.bytes()},
                   [&] { PAL_BACKEND(y, relu_backward(y, grad_y, grad_x)); });
    });
    add_case(name("add_relu", dtype), [=](benchmark::State& state) {
      const Tensor x = random_tensor({size.elements}, dtype);
      const Tensor y = random_tensor({size.elements}, dtype);
      against_copy(state, {x.bytes() + 2 * y.bytes(), x.numel()},
                   [&] { PAL_BACKEND(x, add_relu(x, y)); });
    });
    add_case(name("copy_convert_from", dtype), [=](benchmark::State& state) {
      const Tensor x = random_tensor({size.elements}, dtype);
      const Tensor y = Tensor::empty(x.shape(), dtype == DType::f32 ? DType::bf16 : DType::f32);
      against_copy(state, {x.bytes() + y.bytes()}, [&] { PAL_BACKEND(x, copy_convert(x, y)); });
    });
    add_case(name("squared_norm", dtype), [=](benchmark::State& state) {
      const Tensor x = random_tensor({size.elements}, dtype);
      const Tensor sum = Tensor::empty({1}, DType::f64);
      against_copy(state, {x.bytes(), 2 * x.numel()},
                   [&] { PAL_BACKEND(x, squared_norm(x, sum)); });
    });
    for (const int64_t channels : {16, 48, 3072}) {
      if (!thorough() && !size.in_cache && channels != 48) continue;
      add_case(fmt::format("{}/c{}", name("channel_sums", dtype), channels), [=](benchmark::State&
                                                                                     state) {
        const Tensor x = random_tensor(image_shape(size.elements, channels), dtype);
        const Tensor sums = Tensor::zeros({channels});
        against_copy(state, {x.bytes(), x.numel()}, [&] { PAL_BACKEND(x, channel_sums(x, sums)); });
      });
    }
  }
}

void add_update_cases(const Size& size) {
  const auto numbers = [] {
    const Tensor controls = Tensor::zeros({kUpdateControls}, DType::f64);
    controls.fill(1.0);
    controls.view_at(kLearningRate, {1}).fill(1e-6);
    controls.view_at(kBeta1, {1}).fill(0.9);
    controls.view_at(kBeta2, {1}).fill(0.999);
    controls.view_at(kWeightDecay, {1}).fill(0.0);
    return controls;
  };
  const auto name = [&size](const char* op) { return fmt::format("{}/{}/f32", op, size.name); };
  add_case(name("sgd_step"), [=](benchmark::State& state) {
    const Tensor values = random_tensor({size.elements});
    const Tensor grad = random_tensor({size.elements});
    const Tensor buffer = random_tensor({size.elements});
    const Tensor controls = numbers();
    // Reads all three, writes two.
    against_copy(state, {5 * values.bytes(), 6 * values.numel()},
                 [&] { PAL_BACKEND(values, sgd_step(values, grad, buffer, controls)); });
  });
  add_case(name("adamw_step"), [=](benchmark::State& state) {
    const Tensor values = random_tensor({size.elements});
    const Tensor grad = random_tensor({size.elements});
    const Tensor first = random_tensor({size.elements});
    const Tensor second = Tensor::empty({size.elements});
    second.fill(1.0);
    const Tensor controls = numbers();
    // Reads all four, writes three.
    against_copy(state, {7 * values.bytes(), 14 * values.numel()},
                 [&] { PAL_BACKEND(values, adamw_step(values, grad, first, second, controls)); });
  });
}

/// Steps on the images of a batch, each by numbers of its own.
void add_attack_cases(const Size& size) {
  // Samples of a colour image of 32 x 32 pixels.
  const Shape shape{size.elements / 3072, 3072};
  const auto name = [&size](const char* op) { return fmt::format("{}/{}/f32", op, size.name); };
  const auto filled = [shape](double value) {
    const Tensor numbers = Tensor::empty({shape[0]}, DType::f64);
    numbers.fill(value);
    return numbers;
  };
  add_case(name("combine_samples"), [=](benchmark::State& state) {
    const Tensor x = random_tensor(shape);
    const Tensor grad = random_tensor(shape);
    const Tensor ones = filled(1.0);
    const Tensor steps = filled(1e-6);
    // A step by signs in place: reads both, writes one.
    against_copy(state, {3 * x.bytes(), 4 * x.numel()}, [&] {
      PAL_BACKEND(x, combine_samples({{x, ones}, {grad, steps, true}}, x));
    });
  });
  add_case(name("tanh_adam_step"), [=](benchmark::State& state) {
    const Tensor v = random_tensor(shape);
    const Tensor grad = random_tensor(shape);
    const Tensor first = random_tensor(shape);
    const Tensor second = Tensor::empty(shape);
    second.fill(1.0);
    const Tensor original = Tensor::empty(shape);
    original.fill(0.5);
    const Tensor x = Tensor::empty(shape);
    PAL_BACKEND(v, tanh_images(v, x));
    const Tensor rates = filled(1e-6);
    // Reads all six, writes all but the gradient and the original.
    against_copy(state, {10 * v.bytes(), 24 * v.numel()}, [&] {
      PAL_BACKEND(v, tanh_adam_step(v, first, second, grad, original, rates, {}, x));
    });
  });
}

void add_image_cases(const Size& size) {
  for (const bool noise : {false, true})
    for (const int64_t channels : {1, 3})
      add_case(
          fmt::format("normalize_images/{}/c{}/{}", size.name, channels, noise ? "noise" : "plain"),
          [=](benchmark::State& state) {
            const int64_t side = channels == 1 ? 28 : 224;
            const int64_t batch =
                std::max<int64_t>(1, size.elements / 4 / (side * side * channels));
            const Tensor out = Tensor::empty({batch, side, side, channels});
            const std::vector<uint8_t> pixels(static_cast<size_t>(out.numel()), 100);
            std::vector<ImagePlacement> placements(static_cast<size_t>(batch));
            for (size_t i = 0; i < placements.size(); ++i) {
              placements[i].source = static_cast<int64_t>(i);
              placements[i].flip = i % 2 == 1;
              placements[i].noise_stream = i;
            }
            ImageNormalization normalization;
            normalization.mean.assign(static_cast<size_t>(channels), 0.5F);
            normalization.std.assign(static_cast<size_t>(channels), 0.25F);
            normalization.noise = noise;
            // On a GPU the pixels come over the bus, so of_copy is small there.
            against_copy(
                state, {out.bytes() + out.numel(), 4 * out.numel()},
                [&] { PAL_BACKEND(out, normalize_images(pixels, placements, normalization, out)); },
                Calls::direct);
          });
}

}  // namespace

void add_streaming_cases() {
  for (const Size& size : sizes()) {
    add_elementwise_cases(size);
    add_update_cases(size);
    add_attack_cases(size);
    add_image_cases(size);
  }
}

}  // namespace pal::bench
