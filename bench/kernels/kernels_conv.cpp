// Convolutions of ibinn-imagenet (batch 4 on the CPU, 256 on a GPU) and ibinn-mnist (batch 128).
#include <fmt/format.h>

#include <algorithm>

#include "bench/kernels/best_onednn.h"
#include "kernels/library/conv.h"

namespace pal::bench {
namespace {

/// {batch, input size, in, out, {kernel, stride, padding}}
constexpr ConvCase kConvCases[] = {
    {4, 56, 64, 64, {3, 1, 1}},   {4, 28, 128, 128, {3, 1, 1}},  {4, 14, 256, 256, {3, 1, 1}},
    {4, 7, 512, 512, {3, 1, 1}},  {4, 56, 64, 256, {1, 1, 0}},   {4, 56, 256, 48, {1, 1, 0}},
    {4, 7, 1536, 512, {1, 1, 0}}, {4, 7, 2048, 3072, {1, 1, 0}}, {4, 56, 24, 64, {1, 1, 0}},
    {4, 56, 128, 128, {3, 2, 1}}, {4, 224, 2, 64, {3, 1, 1}},    {4, 224, 64, 64, {3, 2, 1}},
    {128, 14, 2, 32, {1, 1, 0}},  {128, 14, 32, 32, {3, 1, 1}},  {128, 14, 32, 128, {1, 1, 0}},
    {128, 14, 128, 4, {1, 1, 0}}, {128, 14, 64, 64, {3, 2, 1}},  {128, 7, 8, 64, {1, 1, 0}},
    {128, 7, 64, 64, {3, 1, 1}},  {128, 7, 64, 256, {1, 1, 0}},  {128, 7, 256, 16, {1, 1, 0}}};
constexpr int64_t kSmallBatch = 4;

ConvCase for_target(ConvCase c, DType dtype) {
  c.dtype = dtype;
  if (target().device.is_cuda() && c.batch == kSmallBatch) {
    // As large as a streaming case's tensor allows, so that small GPUs and emulated ones can too.
    const int64_t image = c.size * c.size * std::max(c.in, c.out);
    c.batch = std::clamp<int64_t>(4 * target().elements / image, 1, 256);
  } else if (target().device.is_cuda()) {
    c.batch = std::min(c.batch, std::max<int64_t>(1, target().elements / 4096));
  }
  return c;
}

struct Tensors {
  Tensor x, y, weight;
  WeightShadow shadow;
};

void run(benchmark::State& state, const ConvCase& c, ConvDirection direction) {
  Tensors t;
  t.x = random_tensor({c.batch, c.size, c.size, c.in}, c.dtype);
  t.y = random_tensor(c.geometry.out_shape(t.x.shape(), c.out), c.dtype);
  t.weight = random_tensor({c.out, c.geometry.kernel, c.geometry.kernel, c.in});
  const Work ours = [&] {
    switch (direction) {
      case ConvDirection::forward:
        return PAL_BACKEND(t.x, conv_forward(t.x, t.weight, {}, c.geometry, t.shadow, t.y));
      case ConvDirection::backward_data:
        return PAL_BACKEND(t.x, conv_backward_data(t.y, t.weight, c.geometry, t.shadow, t.x));
      case ConvDirection::backward_weight:
        return PAL_BACKEND(t.x, conv_backward_weight(t.x, t.y, c.geometry, t.weight, {}));
    }
  };
  const Cost cost{t.x.bytes() + t.y.bytes() + t.weight.bytes(), c.flops(), c.dtype};
  against_best(state, cost, ours, [&] { return best_convolution(c, direction); });
}

}  // namespace

void add_conv_cases() {
  constexpr const char* kNames[] = {"conv_forward", "conv_backward_data", "conv_backward_weight"};
  for (const Arithmetic& arithmetic : arithmetics())
    for (int direction = 0; direction < 3; ++direction)
      for (const ConvCase& one : kConvCases) {
        const ConvCase c = for_target(one, arithmetic.dtype);
        add_case(fmt::format("{}/{}x{}s{}/{}->{}@{}/b{}/{}", kNames[direction], c.geometry.kernel,
                             c.geometry.kernel, c.geometry.stride, c.in, c.out, c.size, c.batch,
                             arithmetic.name),
                 [c, direction, arithmetic](benchmark::State& state) {
                   apply(arithmetic);
                   run(state, c, static_cast<ConvDirection>(direction));
                 });
      }
}

}  // namespace pal::bench
