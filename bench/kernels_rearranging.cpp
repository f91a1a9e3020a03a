// Maps that move values about: Haar, squeeze, DCT pooling, permutation, pooling.
#include <fmt/format.h>

#include "bench/kernel_case.h"
#include "kernels/dct.h"
#include "kernels/haar.h"
#include "kernels/permutation.h"
#include "kernels/pool.h"
#include "kernels/squeeze.h"

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
  };
  static constexpr Family kFamilies[] = {
      {"haar_forward",
       [](const Halving& t) { PAL_BACKEND(t.low, haar_forward(t.high, t.low, 0.5)); }},
      {"haar_inverse",
       [](const Halving& t) { PAL_BACKEND(t.low, haar_inverse(t.low, t.high, 0.5)); }},
      {"haar_backward",
       [](const Halving& t) { PAL_BACKEND(t.low, haar_backward(t.low, t.high, 0.5)); }},
      {"squeeze", [](const Halving& t) { PAL_BACKEND(t.low, squeeze(t.high, t.low)); }},
      {"unsqueeze", [](const Halving& t) { PAL_BACKEND(t.low, unsqueeze(t.low, t.high)); }}};
  for (const Family& family : kFamilies)
    for (const Size& size : sizes())
      for (const int64_t channels : {1, 3, 12, 96, 384})
        add_case(fmt::format("{}/{}/c{}", family.name, size.name, channels),
                 [=](benchmark::State& state) {
                   const Halving t(size.elements, channels);
                   against_copy(state, t.high.bytes() + t.low.bytes(), [&] { family.run(t); });
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
  for (const Family& family : kFamilies)
    for (const Size& size : sizes())
      for (const int64_t channels : {16, 3072})
        add_case(fmt::format("{}/{}/7x7x{}", family.name, size.name, channels),
                 [=](benchmark::State& state) {
                   const int64_t batch = std::max<int64_t>(1, size.elements / (49 * channels));
                   const Tensor x = random_tensor({batch, 7, 7, channels});
                   const Tensor y = random_tensor({batch, 49 * channels});
                   against_copy(state, x.bytes() + y.bytes(), [&] { family.run(x, y); });
                 });
}

void add_permutation_cases() {
  for (const Size& size : sizes())
    for (const int64_t channels : {4, 48, 768, 3072})
      add_case(fmt::format("permute_channels/{}/c{}", size.name, channels),
               [=](benchmark::State& state) {
                 const Tensor x = random_tensor(image_shape(size.elements, channels));
                 const Tensor y = Tensor::empty(x.shape());
                 const Tensor index =
                     device_index(random_permutation(channels, Philox(1, RandomPurpose::test)));
                 against_copy(state, x.bytes() + y.bytes(),
                              [&] { PAL_BACKEND(x, permute_channels(x, index, y)); });
               });
}

void add_pool_cases() {
  static constexpr PoolGeometry kWindow{.kernel = 3, .stride = 2, .padding = 1};
  for (const Size& size : sizes()) {
    add_case(fmt::format("average_pool_forward/{}/c256", size.name), [=](benchmark::State& state) {
      const Tensor x = random_tensor(image_shape(size.elements, 256));
      const Tensor y = Tensor::empty({x.size(0), 256});
      against_copy(state, x.bytes() + y.bytes(),
                   [&] { PAL_BACKEND(x, average_pool_forward(x, y)); });
    });
    add_case(fmt::format("max_pool_forward/{}/c64", size.name), [=](benchmark::State& state) {
      const Tensor x = random_tensor(image_shape(size.elements, 64));
      const int64_t side = kWindow.out_size(x.size(1));
      const Tensor y = Tensor::empty({x.size(0), side, side, 64});
      const Tensor taps = Tensor::empty(y.shape(), DType::u8);
      against_copy(state, x.bytes() + y.bytes() + taps.bytes(),
                   [&] { PAL_BACKEND(x, max_pool_forward(x, kWindow, y, taps)); });
    });
  }
}

}  // namespace

void add_rearranging_cases() {
  add_halving_cases();
  add_dct_cases();
  add_permutation_cases();
  add_pool_cases();
}

}  // namespace pal::bench
