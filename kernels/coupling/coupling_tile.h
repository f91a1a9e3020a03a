#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/common/packed_rows.h"
#include "kernels/coupling/coupling.h"
#include "runtime/parallel.h"

// How the CPU's coupling kernels walk over an image.
//
// Data flow: a sample's pixels are cut into chunks of kChunkPixels, a chunk into tiles of about
// kTileValues values. A thread takes whole chunks; of each tile it packs every operand's part into
// an array without gaps (act norm's values stand repeated for all pixels of a tile, the permutation
// is a list of places in it), runs one long loop over those arrays, and unpacks the result.
// Memory: a thread's arrays hold one tile each; operands that lie without gaps are read in place.
// The trick: one vectorised loop, whatever the number of channels. Chunks do not depend on the
// number of threads, so sums over them do not either.
namespace pal::cpu::coupling {

/// Values of y in a tile, about.
constexpr int64_t kTileValues = 512;
/// Pixels per partial sum: fixed, so that sums do not depend on the number of threads.
constexpr int64_t kChunkPixels = 128;

/// Geometry of one call: an image [batch, pixels, active + passive channels].
struct Halves {
  int64_t batch = 0;
  int64_t pixels = 0;      ///< per sample
  int64_t active = 0;      ///< channels of the active half
  int64_t passive = 0;     ///< channels of the passive half
  int64_t active_at = 0;   ///< first channel of the active half in v
  int64_t passive_at = 0;  ///< first channel of the passive half in v

  Halves() = default;
  Halves(const Tensor& factors, int64_t channels, const OutputMap& map)
      : batch(factors.size(0)),
        pixels(factors.rows() / std::max<int64_t>(1, factors.size(0))),
        active(factors.channels() / 2),
        passive(channels - active),
        active_at(map.active_first ? 0 : passive),
        passive_at(map.active_first ? active : 0) {}

  int64_t channels() const { return active + passive; }
  int64_t chunks_per_sample() const { return (pixels + kChunkPixels - 1) / kChunkPixels; }
  int64_t chunks() const { return batch * chunks_per_sample(); }
  int64_t tile_pixels() const {
    return std::clamp<int64_t>(kTileValues / std::max<int64_t>(1, channels()), 1, kChunkPixels);
  }
};

/// A run of pixels of one sample.
struct Tile {
  int64_t sample = 0;
  int64_t chunk = 0;
  int64_t first = 0;  ///< its first pixel, counted over the batch
  int64_t count = 0;  ///< pixels
  bool ends_chunk = false;
};

/// Calls make_worker() once per thread and its result, worker(tile), for all tiles. A chunk's tiles
/// go to one worker, in order.
template <typename MakeWorker>
void for_each_tile(const Halves& h, MakeWorker&& make_worker) {
  const int64_t per_sample = h.chunks_per_sample();
  const int64_t grain =
      std::max<int64_t>(1, 8192 / (kChunkPixels * std::max<int64_t>(1, h.channels())));
  parallel_for(h.chunks(), grain, [&](int64_t begin, int64_t end) {
    auto worker = make_worker();
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t sample = chunk / per_sample;
      const int64_t first = (chunk % per_sample) * kChunkPixels;
      const int64_t last = std::min(h.pixels, first + kChunkPixels);
      for (int64_t p = first; p < last; p += h.tile_pixels())
        worker(Tile{sample, chunk, sample * h.pixels + p, std::min(h.tile_pixels(), last - p),
                    p + h.tile_pixels() >= last});
    }
  });
}

/// CouplingGains in the arithmetic type.
template <typename T>
struct Gains {
  T clamp, s_gain, t_gain;
  explicit Gains(const CouplingGains& gains)
      : clamp(static_cast<T>(gains.clamp)),
        s_gain(static_cast<T>(gains.s_gain)),
        t_gain(static_cast<T>(gains.t_gain)) {}
};

/// Whether soft_clamp<true> is right for all of a tile's s, as it is for most tiles.
template <typename T>
bool all_small(const T* s, int64_t count, T s_gain) {
  int larger = 0;
#pragma omp simd reduction(| : larger)
  for (int64_t i = 0; i < count; ++i)
    larger |= !(std::fabs(s_gain * s[i]) < static_cast<T>(kSmallTanh));
  return larger == 0;
}

/// Adds sign * each sample's sum of its chunks' partial sums, as a fixed tree, to `sums`, f64 [n].
/// Overwrites `partial` [chunks].
inline void add_sample_sums(std::vector<double>& partial, const Halves& h, const Tensor& sums,
                            double sign) {
  const int64_t per_sample = h.chunks_per_sample();
  for (int64_t n = 0; n < h.batch; ++n) {
    tree_sum(partial.data() + n * per_sample, per_sample, 1);
    sums.data<double>()[n] += sign * partial[static_cast<size_t>(n * per_sample)];
  }
}

/// What an output map subtracts from every log_s of a sample.
template <typename T>
T shift_of(const OutputMap& map, int64_t sample) {
  return map.log_s_shift.defined() ? static_cast<T>(map.log_s_shift.data<double>()[sample]) : T{0};
}

/// An OutputMap laid out for tiles: act norm of the two halves, repeated for every pixel, and the
/// permutation as lists of places in a tile; identities where there are none. Made once per call,
/// read by all threads.
template <typename T>
class TileMap {
 public:
  TileMap(const Halves& h, const OutputMap& map)
      : halves_(h),
        active_scale(repeated(map.scale, h.active_at, h.active, T{1})),
        active_offset(repeated(map.offset, h.active_at, h.active, T{0})),
        passive_scale(repeated(map.scale, h.passive_at, h.passive, T{1})),
        passive_offset(repeated(map.offset, h.passive_at, h.passive, T{0})) {
    if (!map.index.defined()) return;
    const int32_t* inverse = map.inverse_index.data<int32_t>();
    active_from_ = places(inverse, h.active_at, h.active);
    passive_from_ = places(inverse, h.passive_at, h.passive);
    const int32_t* index = map.index.data<int32_t>();
    const int64_t pixels = h.tile_pixels();
    joined_from_.resize(static_cast<size_t>(pixels * h.channels()));
    for (int64_t p = 0; p < pixels; ++p)
      for (int64_t c = 0; c < h.channels(); ++c) {
        const int64_t channel = index[c];
        const bool is_active = channel >= h.active_at && channel < h.active_at + h.active;
        joined_from_[static_cast<size_t>(p * h.channels() + c)] = static_cast<int32_t>(
            is_active ? p * h.active + channel - h.active_at
                      : pixels * h.active + p * h.passive + channel - h.passive_at);
      }
  }

  /// Values of a tile in all channels, the active ones first, each half packed by pixels.
  int64_t tile_size() const { return halves_.tile_pixels() * halves_.channels(); }
  /// Where the passive half of such a tile begins.
  T* passive_part(T* tile) const { return tile + halves_.tile_pixels() * halves_.active; }

  /// Packs the active half of `count` pixels of y (or of its gradient): to[p][c] is the value that
  /// belongs to channel c of the half. `buffer` holds a tile; `to` may not be the buffer.
  void take_active(const T* y, int64_t pitch, int64_t count, T* buffer, T* to) const {
    take(y, pitch, count, halves_.active_at, halves_.active, active_from_, buffer, to);
  }
  /// take_active for the passive half.
  void take_passive(const T* y, int64_t pitch, int64_t count, T* buffer, T* to) const {
    take(y, pitch, count, halves_.passive_at, halves_.passive, passive_from_, buffer, to);
  }

  /// Writes `count` pixels of y from a tile of both halves; `buffer` holds a tile.
  void put(const T* tile, int64_t count, T* buffer, T* y, int64_t pitch) const {
    const Halves& h = halves_;
    const T* passive = tile + h.tile_pixels() * h.active;
    if (joined_from_.empty()) {
      copy_rows(tile, h.active, y + h.active_at, pitch, count, h.active);
      if (h.passive > 0) copy_rows(passive, h.passive, y + h.passive_at, pitch, count, h.passive);
      return;
    }
    const bool dense = pitch == h.channels() || count == 1;
    T* to = dense ? y : buffer;
    const int32_t* from = joined_from_.data();
#pragma omp simd
    for (int64_t i = 0; i < count * h.channels(); ++i) to[i] = tile[from[i]];
    if (!dense) copy_rows(buffer, h.channels(), y, pitch, count, h.channels());
  }

 private:
  std::vector<T> repeated(const Tensor& values, int64_t begin, int64_t count, T otherwise) const {
    const int64_t pixels = halves_.tile_pixels();
    std::vector<T> tile(static_cast<size_t>(pixels * count), otherwise);
    if (values.defined())
      for (int64_t p = 0; p < pixels; ++p)
        std::copy_n(values.data<T>() + begin, count, tile.data() + p * count);
    return tile;
  }
  std::vector<int32_t> places(const int32_t* inverse, int64_t begin, int64_t count) const {
    const int64_t pixels = halves_.tile_pixels();
    std::vector<int32_t> list(static_cast<size_t>(pixels * count));
    for (int64_t p = 0; p < pixels; ++p)
      for (int64_t c = 0; c < count; ++c)
        list[static_cast<size_t>(p * count + c)] =
            static_cast<int32_t>(p * halves_.channels()) + inverse[begin + c];
    return list;
  }
  void take(const T* y, int64_t pitch, int64_t count, int64_t begin, int64_t width,
            const std::vector<int32_t>& places, T* buffer, T* to) const {
    if (width == 0) return;
    if (places.empty()) {
      copy_rows(y + begin, pitch, to, width, count, width);
      return;
    }
    const T* from = packed_rows(y, pitch, count, halves_.channels(), buffer);
    const int32_t* at = places.data();
#pragma omp simd
    for (int64_t i = 0; i < count * width; ++i) to[i] = from[at[i]];
  }

  Halves halves_;
  std::vector<int32_t> active_from_, passive_from_, joined_from_;

 public:
  const std::vector<T> active_scale, active_offset, passive_scale, passive_offset;
};

/// The factors of a tile, s and t packed apart, in the arithmetic type T; they are stored as F.
template <typename T, typename F>
class TileFactors {
 public:
  explicit TileFactors(const Halves& h)
      : half_(h.active),
        s_(static_cast<size_t>(h.tile_pixels() * h.active)),
        t_(s_),
        wide_(2 * s_.size()) {}

  /// Makes s and t point to the tile's, until the next load or store.
  void load(const Tensor& factors, const Tile& tile) {
    const F* from = factors.data<F>() + tile.first * factors.pitch();
    const T* wide = nullptr;
    int64_t pitch = 2 * half_;
    if constexpr (std::is_same_v<T, F>) {
      wide = from;
      pitch = factors.pitch();
    } else {
      widen(from, factors.pitch(), tile.count);
      wide = wide_.data();
    }
    s = packed_rows(wide, pitch, tile.count, half_, s_.data());
    t = packed_rows(wide + half_, pitch, tile.count, half_, t_.data());
  }

  /// Writes a tile's gradients of s and t, packed apart, to grad_factors.
  void store(const T* grad_s, const T* grad_t, const Tensor& grad_factors, const Tile& tile) {
    F* to = grad_factors.data<F>() + tile.first * grad_factors.pitch();
    if constexpr (std::is_same_v<T, F>) {
      copy_rows(grad_s, half_, to, grad_factors.pitch(), tile.count, half_);
      copy_rows(grad_t, half_, to + half_, grad_factors.pitch(), tile.count, half_);
    } else {
      copy_rows(grad_s, half_, wide_.data(), 2 * half_, tile.count, half_);
      copy_rows(grad_t, half_, wide_.data() + half_, 2 * half_, tile.count, half_);
      narrow(to, grad_factors.pitch(), tile.count);
    }
  }

  const T* s = nullptr;  ///< [pixels of the tile, active]
  const T* t = nullptr;  ///< [pixels of the tile, active]

 private:
  // Dense rows are converted in one run.
  void widen(const F* from, int64_t pitch, int64_t count) {
    const int64_t width = pitch == 2 * half_ ? count * pitch : 2 * half_;
    for (int64_t at = 0, row = 0; at < count * 2 * half_; at += width, ++row) {
      T* to = wide_.data() + at;
      const F* values = from + row * pitch;
#pragma omp simd
      for (int64_t i = 0; i < width; ++i)
        to[i] = static_cast<T>(static_cast<Compute<F>>(values[i]));
    }
  }
  void narrow(F* to, int64_t pitch, int64_t count) {
    const int64_t width = pitch == 2 * half_ ? count * pitch : 2 * half_;
    for (int64_t at = 0, row = 0; at < count * 2 * half_; at += width, ++row) {
      const T* from = wide_.data() + at;
      F* values = to + row * pitch;
#pragma omp simd
      for (int64_t i = 0; i < width; ++i)
        values[i] = static_cast<F>(static_cast<Compute<F>>(from[i]));
    }
  }

  int64_t half_;
  std::vector<T> s_, t_, wide_;
};

}  // namespace pal::cpu::coupling
