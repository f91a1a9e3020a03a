// Maps that move values about: Haar, squeeze, DCT pooling, permutation, pooling.
#include <fmt/format.h>

#include "bench/kernels/kernel_case.h"
#include "kernels/mixing/permutation.h"
#include "kernels/mixing/permute_channels.h"
#include "kernels/pool/pool.h"
#include "kernels/resample/dct.h"
#include "kernels/resample/haar.h"
#include "kernels/resample/squeeze.h"

namespace pal::bench {
namespace {

/// Full and half resolution, [n, h, w, c] and [n, h/2, w/2, 4c].
struct Halving {
  Halving(int64_t elements, int64_t channels) {
    const int64_t side = 28;
    const int64_t batch = std::max<int64_t>(1, elements / (side * side * channels));
    high = random_tensor({batch, side, side, channels});
    low = random_tensor({batch, side / 2, side / 2, 4 * channels});
  }
  Tensor high, low;
};

void add_halving_cases() {
  struct Family {
    const char* name;
    void (*run)(const Halving&);
    int64_t flops;  ///< per value
  };
  static constexpr Family kFamilies[] = {
      {"haar_forward", [](const Halving& t) { haar_forward(t.high, t.low, 0.5); }, 3},
      {"haar_inverse", [](const Halving& t) { haar_inverse(t.low, t.high, 0.5); }, 3},
      {"haar_backward", [](const Halving& t) { haar_backward(t.low, t.high, 0.5); }, 3},
      {"squeeze", [](const Halving& t) { PAL_BACKEND(t.low, squeeze(t.high, t.low)); }, 0},
      {"unsqueeze", [](const Halving& t) { PAL_BACKEND(t.low, unsqueeze(t.low, t.high)); }, 0}};
  for (const Family& family : kFamilies)
    for_sizes({1, 3, 12, 96, 384}, 12, [&](const Size& size, int64_t channels) {
      add_case(fmt::format("{}/{}/c{}", family.name, size.name, channels),
               [=, run = family.run, flops = family.flops](benchmark::State& state) {
                 const Halving t(size.elements, channels);
                 against_copy(state, {t.high.bytes() + t.low.bytes(), flops * t.high.numel()},
                              [&] { run(t); });
               });
    });
}

void add_dct_cases() {
  struct Family {
    const char* name;
    void (*run)(const Tensor&, const Tensor&);
  };
  static constexpr Family kFamilies[] = {
      {"dct_forward",
       [](const Tensor& x, const Tensor& y) { PAL_BACKEND(x, dct_forward(x, y, {})); }},
      {"dct_inverse",
       [](const Tensor& x, const Tensor& y) { PAL_BACKEND(x, dct_inverse(y, x, {})); }},
      {"dct_backward",
       [](const Tensor& x, const Tensor& y) { PAL_BACKEND(x, dct_backward(y, x, {})); }}};
  // Two products with a 7x7 matrix.
  constexpr int64_t kFlops = 2 * 2 * 7;
  for (const Family& family : kFamilies)
    for_sizes({16, 3072}, 16, [&](const Size& size, int64_t channels) {
      add_case(
          fmt::format("{}/{}/7x7x{}", family.name, size.name, channels),
          [=, run = family.run](benchmark::State& state) {
            const int64_t batch = std::max<int64_t>(1, size.elements / (49 * channels));
            const Tensor x = random_tensor({batch, 7, 7, channels});
            const Tensor y = random_tensor({batch, 49 * channels});
            against_copy(state, {x.bytes() + y.bytes(), kFlops * x.numel()}, [&] { run(x, y); });
          });
    });
}

void add_permutation_cases() {
  for_sizes({4, 48, 768, 3072}, 48, [](const Size& size, int64_t channels) {
    add_case(fmt::format("permute_channels/{}/c{}", size.name, channels),
             [=](benchmark::State& state) {
               const Tensor x = random_tensor(image_shape(size.elements, channels));
               const Tensor y = Tensor::empty(x.shape());
               const Tensor index =
                   device_index(random_permutation(channels, Philox(1, RandomPurpose::test)));
               against_copy(state, {x.bytes() + y.bytes()},
                            [&] { PAL_BACKEND(x, permute_channels(x, index, y)); });
             });
  });
}

struct AveragePool {
  explicit AveragePool(const Size& size)
      : x(random_tensor(image_shape(size.elements, 256))), y(random_tensor({x.size(0), 256})) {}
  Cost cost() const { return {x.bytes() + y.bytes(), x.numel()}; }
  Tensor x, y;
};

struct MaxPool {
  static constexpr PoolGeometry kWindow{.kernel = 3, .stride = 2, .padding = 1};
  explicit MaxPool(const Size& size)
      : x(random_tensor(image_shape(size.elements, 64))),
        y(random_tensor({x.size(0), kWindow.out_size(x.size(1)), kWindow.out_size(x.size(1)), 64})),
        taps(Tensor::empty(y.shape(), DType::u8)) {
    PAL_BACKEND(x, max_pool_forward(x, kWindow, y, taps));
  }
  Cost cost() const { return {x.bytes() + y.bytes() + taps.bytes()}; }
  Tensor x, y, taps;
};

void add_pool_cases(const Size& size) {
  const auto name = [&](const char* op, int channels) {
    return fmt::format("{}/{}/c{}", op, size.name, channels);
  };
  add_case(name("average_pool_forward", 256), [=](benchmark::State& state) {
    const AveragePool t(size);
    against_copy(state, t.cost(), [&] { PAL_BACKEND(t.x, average_pool_forward(t.x, t.y)); });
  });
  add_case(name("average_pool_backward", 256), [=](benchmark::State& state) {
    const AveragePool t(size);
    against_copy(state, t.cost(), [&] { PAL_BACKEND(t.x, average_pool_backward(t.y, t.x)); });
  });
  add_case(name("max_pool_forward", 64), [=](benchmark::State& state) {
    const MaxPool t(size);
    against_copy(state, t.cost(),
                 [&] { PAL_BACKEND(t.x, max_pool_forward(t.x, MaxPool::kWindow, t.y, t.taps)); });
  });
  add_case(name("max_pool_backward", 64), [=](benchmark::State& state) {
    const MaxPool t(size);
    against_copy(state, t.cost(),
                 [&] { PAL_BACKEND(t.x, max_pool_backward(t.y, t.taps, MaxPool::kWindow, t.x)); });
  });
}

}  // namespace

void add_rearranging_cases() {
  add_halving_cases();
  add_dct_cases();
  add_permutation_cases();
  for (const Size& size : sizes()) add_pool_cases(size);
}

}  // namespace pal::bench
