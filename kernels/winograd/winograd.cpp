#include "kernels/winograd/winograd.h"

#include <cstring>

#include "kernels/common/block_product.h"
#include "kernels/winograd/tiles.h"
#include "runtime/parallel.h"

// The forward pass, and the gradient of x, which is the same with the filters turned by 180 degrees
// and their channels exchanged.
//
// The transformed filters are made anew in each pass: with four times the filters' own size they are
// not worth keeping, and the optimizer changes them between most passes. Images are done in chunks of
// tiles, each by one thread.
namespace pal::winograd {
namespace {

/// Channels of the filters that are transformed at once.
constexpr int64_t kGroup = 8;

int64_t rounded_up(int64_t number, int64_t unit) { return (number + unit - 1) / unit * unit; }

/// Tiles of a chunk. The filters of wide layers do not stay in a second-level cache, and are read once
/// for each chunk.
int64_t most_tiles(int64_t filters) { return filters <= 128 * 128 ? 24 : 96; }

/// How the images of a pass are cut, and where what lies in scratch memory.
struct Chunks {
  Chunks(const Tensor& x, const Tensor& y)
      : depth(x.channels()),
        panels(block_count(y.channels())),
        tiles(Tiles(x).count()),
        size(size_of(tiles, most_tiles(x.channels() * y.channels()))),
        count((tiles + size - 1) / size),
        workers(std::min<int64_t>(thread_count(), count)),
        filter_stride(odd_lines(depth * kBlockColumns)),
        input_stride(odd_lines(kProducts * depth)),
        output_stride(odd_lines(kProducts * columns())) {}

  /// Chunks of one size for all threads.
  static int64_t size_of(int64_t tiles, int64_t most) {
    const int64_t share = (tiles + thread_count() - 1) / thread_count();
    const int64_t pieces = (share + most - 1) / most;
    return rounded_up((share + pieces - 1) / pieces, kBlockRows);
  }

  int64_t columns() const { return panels * kBlockColumns; }
  int64_t filter_floats() const { return panels * kProducts * filter_stride; }
  int64_t chunk_floats() const { return size * (input_stride + output_stride); }
  int64_t floats() const { return filter_floats() + workers * chunk_floats(); }

  int64_t depth, panels;  ///< channels of x; blocks of channels of y
  int64_t tiles;
  int64_t size, count;    ///< tiles of a chunk, but for the last one; chunks
  int64_t workers;        ///< that do chunks at once
  int64_t filter_stride;  ///< floats between the 36 values of a panel of filters
  // Floats between tiles. The 36 values of a tile lie together, [value][channel]: with a chunk's width
  // between them each would be in a page of its own.
  int64_t input_stride, output_stride;
};

/// What a pass convolves with: filters [columns, 3, 3, depth] of the forward pass or, turned, those of
/// the gradient of x, stored as [depth, 3, 3, columns].
struct Filters {
  const float* values;
  int64_t depth, columns;
  bool turned;

  /// The filters of some channels, [tap][channel of x - d][channel of y - c].
  void read(int64_t d, int64_t depth_count, int64_t c, int64_t column_count,
            float (&taps)[9][kGroup][kBlockColumns]) const {
    for (int tap = 0; tap < 9; ++tap)
      if (turned)
        for (int64_t i = 0; i < depth_count; ++i)
          for (int64_t j = 0; j < column_count; ++j)
            taps[tap][i][j] = values[((d + i) * 9 + 8 - tap) * columns + c + j];
      else
        for (int64_t j = 0; j < column_count; ++j)
          for (int64_t i = 0; i < depth_count; ++i)
            taps[tap][i][j] = values[((c + j) * 9 + tap) * depth + d + i];
  }
};

/// Writes the transformed filters: value k of panel p, channel d of x and the panel's channel j of y
/// at to[(k * panels + p) * stride + d * kBlockColumns + j]. The padding is zero.
void transform_filters(const Filters& filters, const Chunks& chunks, float* to) {
  const int64_t groups = (chunks.depth + kGroup - 1) / kGroup;
  const int64_t stride = chunks.panels * chunks.filter_stride;
  parallel_for(chunks.panels * groups, 4, [&](int64_t begin, int64_t end) {
    float taps[9][kGroup][kBlockColumns] = {};
    for (int64_t item = begin; item < end; ++item) {
      const int64_t panel = item / groups;
      const int64_t first = panel * kBlockColumns;
      const int64_t d = item % groups * kGroup;
      const int64_t count = std::min(kGroup, chunks.depth - d);
      // Full panels overwrite all that is read below.
      if (filters.columns - first < kBlockColumns) std::memset(taps, 0, sizeof taps);
      filters.read(d, count, first, std::min(kBlockColumns, filters.columns - first), taps);
      float* const place = to + panel * chunks.filter_stride + d * kBlockColumns;
      for (int64_t i = 0; i < count; ++i)
        for (int64_t j = 0; j < kBlockColumns; j += kVectorFloats) {
          FloatVector filter[kTaps][kTaps];
          FloatVector made[kInputs][kInputs];
          for (int tap = 0; tap < kTaps * kTaps; ++tap)
            filter[tap / kTaps][tap % kTaps] = load_values<FloatVector>(&taps[tap][i][j]);
          along_both(filter, made, [](const auto* g, auto* u) { transform_weight(g, u); });
          for (int k = 0; k < kProducts; ++k)
            store_values(place + k * stride + i * kBlockColumns + j,
                         made[k / kInputs][k % kInputs]);
        }
    }
  });
}

/// Writes the pixels of a tile of y whose product k of channel c lies at from[k * stride + c].
void write_outputs(const Tiles& tiles, int64_t tile, const float* from, int64_t stride,
                   const float* bias, float* y) {
  const Tiles::Place at = tiles.place(tile);
  const bool inside = tiles.inside(at.row, at.column, kOutputs);
  for_each_vector(tiles.channels(), [&]<typename V>(int64_t c) {
    V products[kInputs][kInputs];
    V pixels[kOutputs][kOutputs];
#pragma GCC unroll 36
    for (int k = 0; k < kProducts; ++k)
      products[k / kInputs][k % kInputs] = load_values<V>(from + k * stride + c);
    along_both(products, pixels, [](const auto* m, auto* out) { transform_output(m, out); });
    const V added = bias != nullptr ? load_values<V>(bias + c) : V{};
    float* const to = y + at.image + c;
    for (int i = 0; i < kOutputs; ++i)
      for (int j = 0; j < kOutputs; ++j)
        if (inside || tiles.inside(at.row + i, at.column + j))
          store_values(to + tiles.pixel(at.row + i, at.column + j), pixels[i][j] + added);
  });
}

void convolve(const Tensor& x, const Filters& filters, const float* bias, const Tensor& y) {
  const Chunks chunks(x, y);
  const Tiles from(x);
  const Tiles to(y);
  const Tensor scratch = Tensor::empty({chunks.floats()}, DType::f32, Tag::workspace, Device());
  float* const weights = scratch.data<float>();
  transform_filters(filters, chunks, weights);
  const auto do_chunk = [&](int64_t first, int64_t count, float* inputs, float* products) {
    for (int64_t t = 0; t < count; ++t)
      transform_inputs(from, first + t, x.data<float>(), chunks.depth,
                       [&](int64_t c) { return inputs + t * chunks.input_stride + c; });
    for (int64_t k = 0; k < kProducts; ++k)
      for (int64_t panel = 0; panel < chunks.panels; ++panel)
        multiply_panel<false>(count, {inputs + k * chunks.depth, chunks.input_stride, 1},
                              weights + (k * chunks.panels + panel) * chunks.filter_stride,
                              chunks.depth, products + k * chunks.columns() + panel * kBlockColumns,
                              chunks.output_stride);
    for (int64_t t = 0; t < count; ++t)
      write_outputs(to, first + t, products + t * chunks.output_stride, chunks.columns(), bias,
                    y.data<float>());
  };
  parallel_tasks(chunks.count, chunks.workers, [&](int64_t i, int64_t, int64_t worker) {
    float* const inputs = weights + chunks.filter_floats() + worker * chunks.chunk_floats();
    do_chunk(i * chunks.size, std::min(chunks.size, chunks.tiles - i * chunks.size), inputs,
             inputs + chunks.size * chunks.input_stride);
  });
}

}  // namespace

bool pays(const Tensor& x, const Tensor& y) {
  return suits_tiles(x, y) && full_tiles(x) >= fewest_tiles(x, y);
}

int64_t scratch_bytes(const Tensor& x, const Tensor& y) {
  return Chunks(x, y).floats() * int64_t{sizeof(float)};
}

void forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& y) {
  convolve(x, {weight.data<float>(), x.channels(), y.channels(), false},
           bias.defined() ? bias.data<float>() : nullptr, y);
}

void backward_data(const Tensor& grad_y, const Tensor& weight, const Tensor& grad_x) {
  convolve(grad_y, {weight.data<float>(), grad_y.channels(), grad_x.channels(), true}, nullptr,
           grad_x);
}

}  // namespace pal::winograd
