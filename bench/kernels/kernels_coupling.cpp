// Couplings with act norm, with and without a permutation.
#include <fmt/format.h>

#include "bench/kernels/kernel_case.h"
#include "kernels/coupling/coupling.h"
#include "kernels/mixing/permutation.h"

namespace pal::bench {
namespace {

struct Case {
  Case(int64_t elements, int64_t channels, DType factors_dtype, bool permuted) {
    const Shape shape = image_shape(elements, channels);
    x = random_tensor(shape);
    y = random_tensor(shape);
    grad_y = random_tensor(shape);
    active = x.slice_channels(channels - channels / 2, channels / 2);
    passive = x.slice_channels(0, channels - channels / 2);
    factors = random_tensor(shape.with_last(2 * (channels / 2)), factors_dtype);
    log_det = Tensor::zeros({shape[0]}, DType::f64);
    map.scale = Tensor::empty({channels});
    map.scale.fill(1.0);
    map.offset = random_tensor({channels});
    if (!permuted) return;
    const auto index = random_permutation(channels, Philox(1, RandomPurpose::test));
    map.index = device_index(index);
    map.inverse_index = device_index(invert_permutation(index));
  }

  CouplingGrads grads() const {
    CouplingGrads g;
    const Tensor grad_x = Tensor::empty(x.shape());
    g.active = grad_x.slice_channels(passive.channels(), active.channels());
    g.passive = grad_x.slice_channels(0, passive.channels());
    g.factors = Tensor::empty(factors.shape(), factors.dtype());
    g.scale = Tensor::zeros({x.channels()}, DType::f64);
    g.offset = Tensor::zeros({x.channels()}, DType::f64);
    return g;
  }

  Tensor x, y, grad_y, active, passive, factors, log_det;
  OutputMap map;
};

// Operations are those on the stream and on the subnet's output; exponentials count as none.
void forward(benchmark::State& state, const Case& c) {
  against_copy(state, {2 * c.y.bytes() + c.factors.bytes(), 9 * c.y.numel() / 2}, [&] {
    PAL_BACKEND(c.y, coupling_forward(c.active, c.passive, c.factors, {}, c.map, c.y, c.log_det));
  });
}

void inverse(benchmark::State& state, const Case& c) {
  // Where channels are permuted, both steps read whole rows of y: 28 bytes a pair of channels in
  // place of 20, with factors in bf16. Nor would it be less if the first step wrote the active half,
  // too: 16 bytes, and 12 for the second.
  const int64_t images = c.map.index.defined() ? 3 : 2;
  against_copy(state, {images * c.y.bytes() + c.factors.bytes(), 9 * c.y.numel() / 2}, [&] {
    PAL_BACKEND(c.y, coupling_inverse_passive(c.y, c.map, c.passive));
    PAL_BACKEND(c.y, coupling_inverse(c.y, c.factors, {}, c.map, c.active, c.log_det));
  });
}

void inverse_backward(benchmark::State& state, const Case& c) {
  const CouplingGrads grads = c.grads();
  const Cost cost{3 * c.y.bytes() + c.active.bytes() + 2 * c.factors.bytes(), 27 * c.y.numel() / 2};
  against_copy(state, cost, [&] {
    PAL_BACKEND(c.y, coupling_inverse_backward(c.y, c.grad_y, c.log_det, c.factors, {}, c.map,
                                               c.active, grads));
  });
}

void backward(benchmark::State& state, const Case& c) {
  const CouplingGrads grads = c.grads();
  against_copy(state, {3 * c.y.bytes() + 2 * c.factors.bytes(), 9 * c.y.numel()}, [&] {
    PAL_BACKEND(c.y, coupling_backward(c.active, c.passive, c.grad_y, c.log_det, c.factors, {},
                                       c.map, grads));
  });
}

}  // namespace

void add_coupling_cases() {
  struct Family {
    const char* name;
    void (*run)(benchmark::State&, const Case&);
  };
  constexpr Family kFamilies[] = {{"coupling_forward", forward},
                                  {"coupling_inverse", inverse},
                                  {"coupling_inverse_backward", inverse_backward},
                                  {"coupling_backward", backward}};
  for (const Family& family : kFamilies)
    for (const DType dtype : {DType::f32, DType::bf16})
      for (const bool permuted : {false, true})
        for_sizes({4, 16, 48, 192, 768, 3072}, 192, [&](const Size& size, int64_t channels) {
          // Rows of bf16 and of f32 differ in the subnet's output alone: a few are enough.
          if (!thorough() && dtype == DType::bf16 && channels != 48 && channels != 768) return;
          add_case(fmt::format("{}/{}/c{}/{}/{}", family.name, size.name, channels, name_of(dtype),
                               permuted ? "permuted" : "plain"),
                   [=, run = family.run](benchmark::State& state) {
                     run(state, Case(size.elements, channels, dtype, permuted));
                   });
        });
}

}  // namespace pal::bench
