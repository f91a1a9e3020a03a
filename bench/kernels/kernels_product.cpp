// Batch norm with ReLU inside the 1x1 convolution that follows it, beside the plain kernels one after
// the other, on the layers of ibinn-imagenet at batch 64.
#include <fmt/format.h>

#include "bench/kernels/kernel_case.h"
#include "kernels/library/gemm.h"
#include "kernels/product/norm_product.h"

namespace pal::bench {
namespace {

struct ProductLayer {
  int64_t side, in, out;
  DType x;
};
constexpr ProductLayer kProductLayers[] = {
    {56, 24, 64, DType::f32},   {56, 64, 256, DType::bf16},   {56, 256, 48, DType::bf16},
    {28, 96, 128, DType::f32},  {28, 128, 512, DType::bf16},  {28, 512, 192, DType::bf16},
    {14, 384, 256, DType::f32}, {14, 256, 1024, DType::bf16}, {14, 1024, 768, DType::bf16}};
constexpr int64_t kBatch = 64;

struct ProductCase {
  explicit ProductCase(const ProductLayer& layer)
      : x(random_tensor({kBatch, layer.side, layer.side, layer.in}, layer.x)),
        normalised(Tensor::empty(x.shape(), DType::bf16)),
        y(random_tensor(x.shape().with_last(layer.out), DType::bf16)),
        weight(random_tensor({layer.out, layer.in}, DType::bf16)),
        grad_weight(Tensor::zeros({layer.out, layer.in})),
        sums(Tensor::zeros({2, layer.out}, DType::f64)) {
    args.mean = random_tensor({layer.in});
    args.inv_std = Tensor::empty({layer.in});
    args.inv_std.fill(1.0);
    args.weight = random_tensor({layer.in});
    args.bias = random_tensor({layer.in});
    const Shape channels = {layer.out};
    statistics = {.mean = Tensor::zeros(channels),
                  .inv_std = Tensor::zeros(channels),
                  .running_mean = Tensor::zeros(channels),
                  .running_var = Tensor::zeros(channels)};
  }
  /// What the fused kernel moves: the plain ones also write and read h, and read y once more.
  Cost cost() const {
    return {x.bytes() + y.bytes() + weight.bytes(), 2 * x.numel() * y.channels(), DType::bf16};
  }

  Tensor x, normalised, y, weight, grad_weight, sums;
  BatchNormArgs args;
  BatchStatistics statistics;
};

void forward_fused(benchmark::State& state, const ProductCase& one) {
  const Tensor shift = Tensor::zeros(one.statistics.mean.shape());
  against_copy(state, one.cost(), [&] {
    norm_product_forward(one.x, one.args, true, one.weight, {}, one.y, one.sums);
    PAL_BACKEND(one.x, batch_norm_statistics_of(one.sums, shift, one.y.rows(), one.statistics));
  });
}

void forward_plain(benchmark::State& state, const ProductCase& one) {
  against_copy(state, one.cost(), [&] {
    PAL_BACKEND(one.x, batch_norm_forward(one.x, one.args, true, one.normalised));
    PAL_BACKEND(one.x, gemm(one.normalised, one.weight, one.y, {.transpose_b = true}));
    PAL_BACKEND(one.x, batch_norm_statistics(one.y, one.statistics));
  });
}

void gradient_fused(benchmark::State& state, const ProductCase& one) {
  against_copy(state, one.cost(), [&] {
    norm_product_weight_gradient(one.x, one.args, true, one.y, one.grad_weight);
  });
}

/// With h kept, as under policy store.
void gradient_plain(benchmark::State& state, const ProductCase& one) {
  PAL_BACKEND(one.x, batch_norm_forward(one.x, one.args, true, one.normalised));
  against_copy(state, one.cost(), [&] {
    PAL_BACKEND(one.x, gemm(one.y, one.normalised, one.grad_weight,
                            {.transpose_a = true, .accumulate = true}));
  });
}

}  // namespace

void add_product_cases() {
  if (target().device.is_cpu()) return;
  struct Family {
    const char* name;
    void (*run)(benchmark::State&, const ProductCase&);
  };
  constexpr Family kFamilies[] = {{"norm_product_forward/fused", forward_fused},
                                  {"norm_product_forward/plain", forward_plain},
                                  {"norm_product_gradient/fused", gradient_fused},
                                  {"norm_product_gradient/plain", gradient_plain}};
  for (const ProductLayer& layer : kProductLayers)
    for (const Family& family : kFamilies)
      add_case(fmt::format("{}/{}->{}@{}/{}", family.name, layer.in, layer.out, layer.side,
                           name_of(layer.x)),
               [=, run = family.run](benchmark::State& state) { run(state, ProductCase(layer)); });
}

}  // namespace pal::bench
