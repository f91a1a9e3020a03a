// Four rows of the result at a time, in whole numbers throughout:
//   blend_rows     u8 source rows -> u32 sums in 2^-16 of a level, one row after another
//   interleave     sums >> 8, the four rows side by side: columns[4 * i + row] for value i of a row
//   blend_columns  the same sums along x, in 2^-24 of a level, rounded to u8
//   separate       the rows apart again
// The trick is the interleaving: source pixels along x lie at irregular places, but all channels of
// one pixel in four rows are neighbours then (12 of the 16 lanes of a vector for RGB), so each
// weight takes one load and no gather. The lanes beyond belong to the next pixel: they are
// computed, stored and overwritten, and the last pixel needs room for them.
// Nothing overflows: weights add up to 2^16, so sums stay below 255.5 * 2^16, then 255.5 * 2^24.
#include "data/pictures/resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "runtime/error.h"

namespace pal {
namespace {

/// Between the passes values keep this many bits below one level: 16 in all.
constexpr int kColumnBits = 8;
constexpr int kColumnShift = ResizeWeights::kBits - kColumnBits;
constexpr int kLevelShift = ResizeWeights::kBits + kColumnBits;
/// Output rows that are made at once. Between the passes they are interleaved, so that one vector
/// holds a pixel's channels (of at most kLanes / kRows) in all of them.
constexpr size_t kRows = 4;
constexpr size_t kLanes = 16;
using Lanes [[gnu::vector_size(4 * kLanes)]] = uint32_t;
using HalfLanes [[gnu::vector_size(2 * kLanes)]] = uint16_t;
using LevelLanes [[gnu::vector_size(kLanes)]] = uint8_t;

double triangle(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

/// sums[i] = (first ? rounding : sums[i]) + weights[0] rows[i] + weights[1] rows[pitch + i] + ...
template <size_t kTaps>
void add_rows(const uint8_t* rows, size_t pitch, const uint32_t* weights, size_t size, bool first,
              uint32_t* sums) {
  std::array<uint32_t, kTaps> weight;
  std::copy_n(weights, kTaps, weight.begin());
  const uint32_t kept = first ? 0 : ~0U;
  const uint32_t start = first ? 1U << (kColumnShift - 1) : 0;
#pragma omp simd
  for (size_t i = 0; i < size; ++i) {
    uint32_t sum = (sums[i] & kept) + start;
    for (size_t k = 0; k < kTaps; ++k) sum += weight[k] * rows[k * pitch + i];
    sums[i] = sum;
  }
}

/// One row: `size` sums in 1 / 2^kBits of a level.
void blend_rows(const uint8_t* rows, size_t pitch, const uint32_t* weights, size_t taps,
                size_t size, uint32_t* sums) {
  constexpr decltype(&add_rows<1>) kAdd[] = {add_rows<1>, add_rows<2>, add_rows<3>, add_rows<4>};
  while (taps > 1 && weights[taps - 1] == 0) --taps;
  for (size_t k = 0; k < taps; k += std::size(kAdd))
    kAdd[std::min(taps - k, std::size(kAdd)) - 1](rows + k * pitch, pitch, weights + k, size,
                                                  k == 0, sums);
}

void interleave(const uint32_t* sums, size_t size, uint16_t* columns) {
  const auto rounded = [](uint32_t sum) { return static_cast<uint16_t>(sum >> kColumnShift); };
#pragma omp simd
  for (size_t i = 0; i < size; ++i) {
    columns[kRows * i] = rounded(sums[i]);
    columns[kRows * i + 1] = rounded(sums[size + i]);
    columns[kRows * i + 2] = rounded(sums[2 * size + i]);
    columns[kRows * i + 3] = rounded(sums[3 * size + i]);
  }
}

/// kRows interleaved rows become as many rows of levels. Each pixel's spare lanes are overwritten
/// by the next.
template <size_t kTaps>
void blend_columns(const uint16_t* columns, const ResizeWeights& x, size_t channels,
                   uint8_t* levels) {
  constexpr uint32_t kHalf = 1U << (kLevelShift - 1);
  const size_t taps = kTaps != 0 ? kTaps : static_cast<size_t>(x.taps());
  const size_t step = kRows * channels;
  const int64_t begin = x.begin();
  const int64_t count = x.count();
  const uint32_t* weights = x.weights(0);
  for (int64_t column = 0; column < count; ++column, levels += step, weights += taps) {
    const uint16_t* pixels = columns + static_cast<size_t>(x.source(column) - begin) * step;
    Lanes total = Lanes{} + kHalf;
    for (size_t k = 0; k < taps; ++k, pixels += step) {
      HalfLanes pixel;
      std::memcpy(&pixel, pixels, sizeof pixel);
      total += weights[k] * __builtin_convertvector(pixel, Lanes);
    }
    const LevelLanes rounded = __builtin_convertvector(total >> kLevelShift, LevelLanes);
    std::memcpy(levels, &rounded, sizeof rounded);
  }
}

/// The usual numbers of taps are worth code of their own: enlarging, and shrinking by up to 3.
using BlendColumns = decltype(&blend_columns<0>);
BlendColumns blend_of(int64_t taps) {
  constexpr BlendColumns kBlends[] = {blend_columns<0>, blend_columns<1>, blend_columns<2>,
                                      blend_columns<3>, blend_columns<4>, blend_columns<5>,
                                      blend_columns<6>};
  return kBlends[taps <= 6 ? taps : 0];
}

/// Undoes `interleave`: `out` holds kRows rows.
void separate(const uint8_t* levels, size_t size, uint8_t* out) {
#pragma omp simd
  for (size_t i = 0; i < size; ++i) {
    out[i] = levels[kRows * i];
    out[size + i] = levels[kRows * i + 1];
    out[2 * size + i] = levels[kRows * i + 2];
    out[3 * size + i] = levels[kRows * i + 3];
  }
}

}  // namespace

ResizeWeights::ResizeWeights(const ResizeAxis& axis) {
  expect(axis.low >= 0 && axis.low < axis.high && axis.from >= static_cast<double>(axis.low) &&
             axis.to <= static_cast<double>(axis.high) && axis.from < axis.to && axis.outputs > 0 &&
             axis.first >= 0 && axis.count > 0 && axis.first <= axis.outputs - axis.count,
         "resize: [{}, {}) of pixels {} to {} cannot become {} to {} of {}", axis.from, axis.to,
         axis.low, axis.high, axis.first, axis.first + axis.count, axis.outputs);
  const double scale = (axis.to - axis.from) / static_cast<double>(axis.outputs);
  const double support = std::max(scale, 1.0);
  // Pixels whose middles lie within the support.
  const auto begin_of = [&](double center) {
    return std::max(axis.low, static_cast<int64_t>(std::floor(center - support + 0.5)));
  };
  const auto end_of = [&](double center) {
    return std::min(axis.high, static_cast<int64_t>(std::floor(center + support + 0.5)));
  };
  const auto center_of = [&](int64_t output) {
    return axis.from + (static_cast<double>(axis.first + output) + 0.5) * scale;
  };
  begin_ = begin_of(center_of(0));
  end_ = end_of(center_of(axis.count - 1));
  for (int64_t i = 0; i < axis.count; ++i)
    taps_ = std::max(taps_, end_of(center_of(i)) - begin_of(center_of(i)));
  weights_.resize(static_cast<size_t>(axis.count * taps_));
  std::vector<double> running;
  for (int64_t i = 0; i < axis.count; ++i) {
    const double center = center_of(i);
    sources_.push_back(begin_of(center));
    running.clear();
    double sum = 0.0;
    for (int64_t k = begin_of(center); k < end_of(center); ++k)
      running.push_back(sum += triangle((static_cast<double>(k) - center + 0.5) / support));
    // Rounding the running sum keeps the total exact and spreads the error.
    uint32_t* weights = &weights_[static_cast<size_t>(i * taps_)];
    uint32_t before = 0;
    for (const double part : running) {
      const auto now = static_cast<uint32_t>(std::nearbyint(part / sum * (1U << kBits)));
      *weights++ = now - before;
      before = now;
    }
  }
}

void resize(const Image& source, int64_t left, int64_t top, const ResizeWeights& x,
            const ResizeWeights& y, std::span<uint8_t> out) {
  const int64_t channels = source.channels;
  expect(channels == 1 || channels == 3, "resize: expected 1 or 3 channels, got {}", channels);
  expect(x.begin() >= left && x.end() <= left + source.width && y.begin() >= top &&
             y.end() <= top + source.height,
         "resize: needs columns {} to {} and rows {} to {}, got {}x{} from {}, {}", x.begin(),
         x.end(), y.begin(), y.end(), source.width, source.height, left, top);
  expect(static_cast<int64_t>(out.size()) == y.count() * x.count() * channels,
         "resize: expected room for {}x{}x{} values, got {}", y.count(), x.count(), channels,
         out.size());
  const auto pitch = static_cast<size_t>(source.row());
  const auto size = static_cast<size_t>((x.end() - x.begin()) * channels);
  const auto out_row = static_cast<size_t>(x.count() * channels);
  // Room for what is read with weight 0 and for the last pixel's spare lanes.
  std::vector<uint16_t> columns(kRows * (size + static_cast<size_t>(x.taps() * channels)) + kLanes);
  std::vector<uint32_t> sums(kRows * size);
  std::vector<uint8_t> levels(kRows * out_row + kLanes);
  std::vector<uint8_t> last_rows(kRows * out_row);
  const BlendColumns blend = blend_of(x.taps());
  const uint8_t* corner = &source.pixels[static_cast<size_t>((x.begin() - left) * channels)];
  for (int64_t row = 0; row < y.count(); row += kRows) {
    const auto rows = std::min<size_t>(kRows, static_cast<size_t>(y.count() - row));
    for (size_t r = 0; r < rows; ++r) {
      const int64_t at = row + static_cast<int64_t>(r);
      blend_rows(corner + static_cast<size_t>(y.source(at) - top) * pitch, pitch, y.weights(at),
                 static_cast<size_t>(y.taps()), size, &sums[r * size]);
    }
    interleave(sums.data(), size, columns.data());
    blend(columns.data(), x, static_cast<size_t>(channels), levels.data());
    uint8_t* target = &out[static_cast<size_t>(row) * out_row];
    separate(levels.data(), out_row, rows == kRows ? target : last_rows.data());
    if (rows < kRows) std::copy_n(last_rows.data(), rows * out_row, target);
  }
}

}  // namespace pal
