#include "kernels/common/block_product.h"
#include "kernels/winograd/tiles.h"
#include "kernels/winograd/winograd.h"
#include "runtime/parallel.h"

// The gradient of the weights: for each of the 36 values of a tile the product of the transformed
// gradient of y [tiles, out], transposed, with the transformed inputs [tiles, in]. Chunks of tiles are
// transformed by all threads; then a block of columns of one of the 36 sums goes to one thread. So a
// sum has one order, whatever the threads.
namespace pal::winograd {
namespace {

constexpr int64_t kWeightChunkBytes = 4 * 1024 * 1024;
/// The sums of chunks are added up: long sums in one go would lose more.
constexpr int64_t kMostTiles = 128;

/// Sizes, and where what lies in scratch memory. Inputs are in panels: channel c of tile t at
/// [c / kBlockColumns][t][c % kBlockColumns].
struct WeightChunks {
  WeightChunks(const Tensor& x, const Tensor& grad_y)
      : panels(block_count(x.channels())),
        out(grad_y.channels()),
        tiles(Tiles(x).count()),
        gradient_pitch(odd_lines(out)),
        size(std::clamp(kWeightChunkBytes / (4 * kProducts * (in() + gradient_pitch)), int64_t{1},
                        std::max<int64_t>(1, std::min(kMostTiles, tiles)))),
        sum_stride(odd_lines(out * in())),
        input_stride(odd_lines(size * in())),
        gradient_stride(odd_lines(size * gradient_pitch)) {}

  int64_t in() const { return panels * kBlockColumns; }
  int64_t floats() const { return kProducts * (sum_stride + input_stride + gradient_stride); }

  int64_t panels, out;  ///< blocks of channels of x; channels of y
  int64_t tiles;
  int64_t gradient_pitch;                             ///< floats between the tiles' gradients
  int64_t size;                                       ///< tiles of a chunk, but for the last one
  int64_t sum_stride, input_stride, gradient_stride;  ///< floats between the 36 values
};

/// Adds the gradients of the filters [out, 3, 3, in] whose transformed values k lie at
/// from[k * stride + o * pitch + c].
void add_filters(const float* from, int64_t stride, int64_t pitch, const Tensor& grad_weight) {
  const int64_t in = grad_weight.channels();
  auto* const values = grad_weight.data<float>();
  parallel_for(grad_weight.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o)
      for_each_vector(in, [&]<typename V>(int64_t c) {
        V sums[kInputs][kInputs];
        V taps[kTaps][kTaps];
        for (int k = 0; k < kProducts; ++k)
          sums[k / kInputs][k % kInputs] = load_values<V>(from + k * stride + o * pitch + c);
        along_both(sums, taps, [](const auto* u, auto* g) { transform_weight_gradient(u, g); });
        for (int tap = 0; tap < kTaps * kTaps; ++tap) {
          float* const at = values + (o * kTaps * kTaps + tap) * in + c;
          store_values(at, load_values<V>(at) + taps[tap / kTaps][tap % kTaps]);
        }
      });
  });
}

}  // namespace

bool pays_for_weights(const Tensor& x, const Tensor& y) {
  return suits_tiles(x, y) && full_tiles(x) >= fewest_tiles(x, y);
}

int64_t weight_scratch_bytes(const Tensor& x, const Tensor& y) {
  return WeightChunks(x, y).floats() * int64_t{sizeof(float)};
}

void backward_weight(const Tensor& x, const Tensor& grad_y, const Tensor& grad_weight) {
  const WeightChunks chunks(x, grad_y);
  const Tiles from(x);
  const Tiles to(grad_y);
  const Tensor scratch = Tensor::empty({chunks.floats()}, DType::f32, Tag::workspace, Device());
  float* const sums = scratch.data<float>();
  float* const inputs = sums + kProducts * chunks.sum_stride;
  float* const gradients = inputs + kProducts * chunks.input_stride;
  // The padding of the last panel is never written again.
  if (x.channels() < chunks.in()) std::fill(inputs, inputs + kProducts * chunks.input_stride, 0.0F);
  for (int64_t first = 0; first < chunks.tiles; first += chunks.size) {
    const int64_t count = std::min(chunks.size, chunks.tiles - first);
    constexpr int64_t kAtOnce = 4;
    parallel_tasks(
        (count + kAtOnce - 1) / kAtOnce, thread_count(), [&](int64_t i, int64_t, int64_t) {
          for (int64_t t = i * kAtOnce; t < std::min(count, (i + 1) * kAtOnce); ++t) {
            transform_inputs(from, first + t, x.data<float>(), chunks.input_stride, [&](int64_t c) {
              return inputs + (c / kBlockColumns * chunks.size + t) * kBlockColumns +
                     c % kBlockColumns;
            });
            transform_tile<kOutputs>(
                to, first + t, 0, grad_y.data<float>(), chunks.gradient_stride,
                [](const auto* y, auto* w) { transform_output_gradient(y, w); },
                [&](int64_t c) { return gradients + t * chunks.gradient_pitch + c; });
          }
        });
    parallel_tasks(kProducts * chunks.panels, thread_count(), [&](int64_t i, int64_t, int64_t) {
      const int64_t k = i / chunks.panels;
      const int64_t panel = i % chunks.panels;
      const Strided left = {gradients + k * chunks.gradient_stride, 1, chunks.gradient_pitch};
      const float* const right =
          inputs + k * chunks.input_stride + panel * chunks.size * kBlockColumns;
      float* const sum = sums + k * chunks.sum_stride + panel * kBlockColumns;
      if (first == 0)
        multiply_panel<false>(chunks.out, left, right, count, sum, chunks.in());
      else
        multiply_panel<true>(chunks.out, left, right, count, sum, chunks.in());
    });
  }
  add_filters(sums, chunks.sum_stride, chunks.in(), grad_weight);
}

}  // namespace pal::winograd
