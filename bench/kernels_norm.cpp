// Batch normalisation with ReLU.
#include <fmt/format.h>

#include "bench/kernel_case.h"
#include "kernels/batch_norm.h"

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
  against_copy(state, c.x.bytes(),
               [&] { PAL_BACKEND(c.x, batch_statistics(c.x, c.args.mean, variance)); });
}

void forward(benchmark::State& state, const Case& c) {
  against_copy(state, c.x.bytes() + c.y.bytes(),
               [&] { PAL_BACKEND(c.x, batch_norm_forward(c.x, c.args, true, c.y)); });
}

void backward(benchmark::State& state, const Case& c) {
  BatchNormGrads grads;
  grads.x = Tensor::empty(c.x.shape(), c.x.dtype());
  grads.weight = Tensor::zeros(c.args.weight.shape());
  grads.bias = Tensor::zeros(c.args.weight.shape());
  // Two passes over x and the gradient, one write.
  against_copy(state, 3 * c.x.bytes() + 2 * c.y.bytes(),
               [&] { PAL_BACKEND(c.x, batch_norm_backward(c.x, c.y, c.args, true, true, grads)); });
}

}  // namespace

void add_norm_cases() {
  struct Family {
    const char* name;
    void (*run)(benchmark::State&, const Case&);
  };
  constexpr Family kFamilies[] = {{"batch_statistics", statistics},
                                  {"batch_norm_forward", forward},
                                  {"batch_norm_backward", backward}};
  for (const Family& family : kFamilies)
    for (const Size& size : sizes())
      for (const Types types : kTypes)
        for (const int64_t channels : {2, 24, 64, 256, 2048}) {
          if (family.run == statistics && types.x != types.y) continue;
          add_case(fmt::format("{}/{}/c{}/{}_{}", family.name, size.name, channels,
                               name_of(types.x), name_of(types.y)),
                   [=](benchmark::State& state) {
                     family.run(state, Case(size.elements, channels, types));
                   });
        }
}

}  // namespace pal::bench
