// Batch normalisation with ReLU, and act norm.
#include <fmt/format.h>

#include "bench/kernels/kernel_case.h"
#include "kernels/coupling/act_norm.h"
#include "kernels/norm/batch_norm.h"

namespace pal::bench {
namespace {

struct Types {
  DType x, y;
};
constexpr Types kTypes[] = {
    {DType::f32, DType::f32}, {DType::f32, DType::bf16}, {DType::bf16, DType::bf16}};

struct Case {
  Case(int64_t elements, int64_t channels, Types types)
      : x(random_tensor(image_shape(elements, channels), types.x)),
        y(random_tensor(x.shape(), types.y)) {
    args.mean = random_tensor({channels});
    args.inv_std = Tensor::empty({channels});
    args.inv_std.fill(1.0);
    args.weight = random_tensor({channels});
    args.bias = random_tensor({channels});
  }
  Tensor x, y;
  BatchNormArgs args;
};

void statistics(benchmark::State& state, const Case& c) {
  const Tensor variance = Tensor::empty(c.args.mean.shape());
  against_copy(state, {c.x.bytes(), 4 * c.x.numel()},
               [&] { PAL_BACKEND(c.x, batch_statistics(c.x, c.args.mean, variance)); });
}

void forward(benchmark::State& state, const Case& c) {
  against_copy(state, {c.x.bytes() + c.y.bytes(), 2 * c.x.numel()},
               [&] { PAL_BACKEND(c.x, batch_norm_forward(c.x, c.args, true, c.y)); });
}

void backward(benchmark::State& state, const Case& c) {
  BatchNormGrads grads;
  grads.x = Tensor::empty(c.x.shape(), c.x.dtype());
  grads.weight = Tensor::zeros(c.args.weight.shape());
  grads.bias = Tensor::zeros(c.args.weight.shape());
  // Two passes over x and the gradient, one write.
  against_copy(state, {3 * c.x.bytes() + 2 * c.y.bytes(), 12 * c.x.numel()},
               [&] { PAL_BACKEND(c.x, batch_norm_backward(c.x, c.y, c.args, true, true, grads)); });
}

/// What a training step does on its way forward: statistics, then the map.
void training(benchmark::State& state, const Case& c) {
  const Shape channels = c.args.mean.shape();
  const BatchStatistics statistics{.mean = c.args.mean,
                                   .inv_std = c.args.inv_std,
                                   .running_mean = Tensor::zeros(channels),
                                   .running_var = Tensor::zeros(channels)};
  against_copy(state, {2 * c.x.bytes() + c.y.bytes(), 6 * c.x.numel()}, [&] {
    PAL_BACKEND(c.x, batch_norm_statistics(c.x, statistics));
    PAL_BACKEND(c.x, batch_norm_forward(c.x, c.args, true, c.y));
  });
}

void add_act_norm_cases() {
  for_sizes({48, 768}, 48, [](const Size& size, int64_t channels) {
    const auto name = [&](const char* op) {
      return fmt::format("{}/{}/c{}/f32", op, size.name, channels);
    };
    add_case(name("act_norm_forward"), [=](benchmark::State& state) {
      const Case c(size.elements, channels, {DType::f32, DType::f32});
      against_copy(state, {2 * c.x.bytes(), 2 * c.x.numel()}, [&] {
        PAL_BACKEND(c.x, act_norm_forward(c.x, c.args.weight, c.args.bias, c.y));
      });
    });
    add_case(name("act_norm_backward"), [=](benchmark::State& state) {
      const Case c(size.elements, channels, {DType::f32, DType::f32});
      const Tensor grad_x = Tensor::empty(c.x.shape());
      const Tensor grad_scale = Tensor::zeros({channels}, DType::f64);
      const Tensor grad_offset = Tensor::zeros({channels}, DType::f64);
      against_copy(state, {3 * c.x.bytes(), 4 * c.x.numel()}, [&] {
        PAL_BACKEND(c.x,
                    act_norm_backward(c.x, c.y, c.args.weight, grad_x, grad_scale, grad_offset));
      });
    });
  });
}

}  // namespace

void add_norm_cases() {
  struct Family {
    const char* name;
    void (*run)(benchmark::State&, const Case&);
  };
  constexpr Family kFamilies[] = {{"batch_statistics", statistics},
                                  {"batch_norm_forward", forward},
                                  {"batch_norm_training", training},
                                  {"batch_norm_backward", backward}};
  for (const Family& family : kFamilies)
    for (const Types types : kTypes)
      for_sizes({2, 24, 64, 256, 2048}, 64, [&](const Size& size, int64_t channels) {
        if (family.run == statistics && types.x != types.y) return;
        if (family.run == training && types.x != types.y) return;
        add_case(fmt::format("{}/{}/c{}/{}_{}", family.name, size.name, channels, name_of(types.x),
                             name_of(types.y)),
                 [=, run = family.run](benchmark::State& state) {
                   run(state, Case(size.elements, channels, types));
                 });
      });
  add_act_norm_cases();
}

}  // namespace pal::bench
