#pragma once
#include <algorithm>
#include <initializer_list>
#include <numeric>
#include <type_traits>

#include "kernels/common/block.cuh"

// How CUDA kernels with numbers per channel (scales, offsets, sums) share out tensors
// [.., channels].
//
// Data flow: a tensor is a stack of lines, each cut into columns of kWidth elements, one access. A
// work item is a tile of neighbouring columns times a chunk of lines. A block takes one item after
// another; a thread takes a column (ColumnPlace) and its every lanes-th line of the chunk. A caller
// lays out its tensors (ColumnLayout) and launches a kernel of column_kernels.cuh per set of tiles.
// Memory: the numbers of a thread's channels are read once per item and stay in registers; global
// memory is read in accesses of up to 16 bytes, several lines under way at once (for_each_line).
// The trick: where a row's channels are no multiple of the access, a line is `fold` rows of a dense
// tensor, so that accesses are wide all the same; rows that fill no line get tiles of single
// elements. Shapes and alignment alone decide, so that sums do not depend on the grid.
namespace pal::cuda {

/// Columns of a full tile: half a kilobyte of a line side by side.
inline constexpr int kTileColumns = 32;
#ifdef PAL_EMULATE_CUDA
// Few, so that chunks of small tests are long.
inline constexpr int64_t kWantedItems = 4;
#else
/// Work items (a chunk times a tile) that large tensors are cut into: 16 blocks for each of an
/// H100's 132 multiprocessors.
inline constexpr int64_t kWantedItems = 2112;
#endif

/// What a thread does for one work item: its column, and its lines begin, begin + lanes, .. < end.
struct ColumnPlace {
  bool active;    ///< whether the thread has a column at all
  bool one_row;   ///< whether the column's elements are of one row, with neighbouring channels
  int lane;       ///< rank of the thread among those of its column
  int element;    ///< the column's first element in a line
  int channel;    ///< channel of that element
  int channels;   ///< channels of a row
  int64_t chunk;  ///< rank of the chunk
  int64_t begin;  ///< first line
  int64_t end;    ///< end of the chunk's lines
};

/// How some rows of a tensor are cut into work items.
struct ColumnTiles {
  ColumnTiles() = default;
  /// Cuts `row_count` rows from `first` on, `fold_` of them a line, into accesses of `width`
  /// elements and chunks of `chunk_lines` lines (0: as many as keep the device busy).
  ColumnTiles(int64_t first, int64_t row_count, int64_t channel_count, int fold_, int width,
              int64_t chunk_lines = 0)
      : first_row(first),
        lines(row_count / fold_),
        channels(static_cast<int>(channel_count)),
        fold(fold_),
        columns(fold_ * channels / width) {
    tiles = (columns + kTileColumns - 1) / kTileColumns;
    tile = (columns + tiles - 1) / tiles;
    lanes = kThreads / tile;
    // At least four lines a thread, which are read at once; at most 256, for the sums' rounding.
    const int64_t wanted = lanes * std::max<int64_t>(1, kWantedItems / tiles);
    const int64_t turns = std::clamp<int64_t>((lines + 4 * wanted - 1) / (4 * wanted), 1, 64);
    chunk = chunk_lines > 0 ? chunk_lines : 4 * turns * lanes;
    chunks = (lines + chunk - 1) / chunk;
  }

  /// Work items: chunks times tiles.
  PAL_HD int64_t items() const { return chunks * tiles; }

  /// What the thread does for the work item of this rank, with accesses of kWidth elements.
  template <int kWidth>
  __device__ ColumnPlace place(int64_t item) const {
    // Tensors that fit a device have fewer than 2^32 items.
    const auto of_chunk = static_cast<uint32_t>(item) / static_cast<uint32_t>(tiles);
    const int tile_rank = static_cast<int>(static_cast<uint32_t>(item) - of_chunk * tiles);
    const int thread = static_cast<int>(threadIdx.x);
    ColumnPlace at;
    at.lane = thread / tile;
    const int column = tile_rank * tile + thread - at.lane * tile;
    at.active = at.lane < lanes && column < columns;
    at.one_row = fold == 1;
    at.element = column * kWidth;
    at.channel = fold == 1 ? at.element : at.element % channels;
    at.channels = channels;
    at.chunk = of_chunk;
    at.begin = at.chunk * chunk + at.lane;
    at.end = (at.chunk + 1) * chunk < lines ? (at.chunk + 1) * chunk : lines;
    return at;
  }

  int64_t first_row = 0;
  int64_t lines = 0;
  int64_t chunk = 1;  ///< lines of a chunk
  int64_t chunks = 0;
  int channels = 1;
  int fold = 1;     ///< rows of a line
  int columns = 1;  ///< accesses of a line
  int tile = 1;     ///< accesses of a tile
  int tiles = 1;    ///< tiles of a line
  int lanes = 1;    ///< threads of a column
};

/// A tensor's lines as its tiles cut them; null for an undefined tensor.
template <typename T>
struct Lines {
  T* at = nullptr;
  int64_t pitch = 0;

  Lines() = default;
  Lines(const Tensor& tensor, const ColumnTiles& tiles) {
    if (!tensor.defined()) return;
    at = tensor.data<std::remove_const_t<T>>() + tiles.first_row * tensor.pitch();
    pitch = tiles.fold * tensor.pitch();
  }
  /// First element of a line.
  __device__ T* line(int64_t index) const { return at + index * pitch; }
};

/// Calls use(line, load(line)) for the thread's lines; reads kUnroll of them at once.
template <int kUnroll, typename Load, typename Use>
__device__ inline void for_each_line(const ColumnPlace& at, int lanes, const Load& load,
                                     const Use& use) {
  decltype(load(at.begin)) data[kUnroll];
  int64_t line = at.begin;
  for (; line + (kUnroll - 1) * lanes < at.end; line += kUnroll * lanes) {
#pragma unroll
    for (int i = 0; i < kUnroll; ++i) data[i] = load(line + i * lanes);
#pragma unroll
    for (int i = 0; i < kUnroll; ++i) use(line + i * lanes, data[i]);
  }
  // The rest at once too.
#pragma unroll
  for (int i = 0; i < kUnroll - 1; ++i)
    if (line + i * lanes < at.end) data[i] = load(line + i * lanes);
#pragma unroll
  for (int i = 0; i < kUnroll - 1; ++i)
    if (line + i * lanes < at.end) use(line + i * lanes, data[i]);
}

/// Whether arrays of numbers per channel may be read in 16-byte accesses.
template <typename... Pointers>
bool aligned_values(const Pointers*... values) {
  return ((reinterpret_cast<uintptr_t>(values) % 16 == 0) && ...);
}

/// The numbers of a column's kWidth channels, from an array by channel. `aligned`: it may be read
/// in 16-byte accesses.
template <int kWidth, typename T>
__device__ inline Vec<float, kWidth> channel_values(const T* values, bool aligned,
                                                    const ColumnPlace& at) {
  Vec<float, kWidth> result;
  if (aligned && at.one_row) {
    constexpr int kPart = kWidth < kVectorWidth<T> ? kWidth : kVectorWidth<T>;
#pragma unroll
    for (int first = 0; first < kWidth; first += kPart) {
      const auto part = load_vector<kPart>(values + at.channel + first);
#pragma unroll
      for (int k = 0; k < kPart; ++k) result.at[first + k] = static_cast<float>(part.at[k]);
    }
    return result;
  }
  int channel = at.channel;
#pragma unroll
  for (int k = 0; k < kWidth; ++k) {
    result.at[k] = static_cast<float>(values[channel]);
    channel = channel + 1 < at.channels ? channel + 1 : 0;
  }
  return result;
}

/// The tiles of one call: `main` in accesses of `width` elements, and `rest` in single elements for
/// the rows that fill no line.
struct ColumnLayout {
  /// For tensors of equal shape, undefined ones aside, in accesses of at most `widest` elements.
  ColumnLayout(int widest, std::initializer_list<Tensor> tensors) {
    const Tensor& x = *tensors.begin();
    const int64_t rows = x.rows();
    const int64_t channels = x.channels();
    const auto aligned = [&](int elements) {
      return std::all_of(tensors.begin(), tensors.end(), [&](const Tensor& t) {
        const auto bytes = static_cast<uintptr_t>(elements * size_of(t.dtype()));
        return !t.defined() || reinterpret_cast<uintptr_t>(t.raw()) % bytes == 0;
      });
    };
    const auto suits = [&](int elements) {
      return channels % elements == 0 && aligned(elements) &&
             std::all_of(tensors.begin(), tensors.end(), [&](const Tensor& t) {
               return !t.defined() || t.rows() <= 1 || t.pitch() % elements == 0;
             });
    };
    const bool dense = std::all_of(tensors.begin(), tensors.end(),
                                   [](const Tensor& t) { return !t.defined() || t.is_dense(); });
    const auto fold = static_cast<int>(widest / std::gcd<int64_t>(widest, channels));
    if (!suits(widest) && dense && rows >= fold && aligned(widest)) {
      width = widest;
      main = ColumnTiles(0, rows / fold * fold, channels, fold, width);
      rest = ColumnTiles(main.lines * fold, rows % fold, channels, 1, 1);
      return;
    }
    width = suits(widest) ? widest : suits(2) ? 2 : 1;
    main = ColumnTiles(0, rows, channels, 1, width);
  }

  /// Calls body(width, tiles) for `main` and, if it has rows, for `rest`; the width is an
  /// integral_constant.
  template <int kWidest, typename Body>
  void for_each(Body&& body) const {
    if (width == kWidest)
      body(std::integral_constant<int, kWidest>{}, main);
    else if (width == 2)
      body(std::integral_constant<int, 2>{}, main);
    else
      body(std::integral_constant<int, 1>{}, main);
    if (rest.lines > 0) body(std::integral_constant<int, 1>{}, rest);
  }

  int width;
  ColumnTiles main;
  ColumnTiles rest;
};

/// Elements in a 16-byte access of the wider of two types.
template <typename X, typename Y>
inline constexpr int kWidestOf = kVectorWidth<std::conditional_t<(sizeof(X) > sizeof(Y)), X, Y>>;

}  // namespace pal::cuda
