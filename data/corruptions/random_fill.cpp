#include "data/corruptions/random_fill.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <mutex>

#include "runtime/philox_math.h"

namespace pal {
namespace {

/// Words made at a time: the parts of a block lie side by side, so that loops vectorise.
constexpr size_t kLanes = 64;

struct WordBlock {
  uint32_t word[4][kLanes];
};

void make_block(uint64_t seed, uint64_t stream, uint32_t first, WordBlock& block) {
  for (size_t i = 0; i < kLanes; ++i) {
    const auto made =
        philox_math::words(seed, RandomPurpose::sample, stream, first + static_cast<uint32_t>(i));
    for (size_t k = 0; k < 4; ++k) block.word[k][i] = made.at[k];
  }
}

/// Calls use(block, from) for blocks of 4 kLanes numbers until `count` are covered.
template <typename Use>
void for_blocks(uint64_t seed, uint64_t stream, size_t count, Use&& use) {
  WordBlock block;
  for (size_t from = 0; from < count; from += 4 * kLanes) {
    make_block(seed, stream, static_cast<uint32_t>(from / 4), block);
    use(block, from);
  }
}

/// Copies a block's numbers, four of each index, as far as there is room.
template <typename Value>
void store(const Value (&made)[4][kLanes], size_t from, std::span<Value> out) {
  if (from + 4 * kLanes <= out.size()) {
    for (size_t i = 0; i < kLanes; ++i)
      for (size_t k = 0; k < 4; ++k) out[from + 4 * i + k] = made[k][i];
    return;
  }
  for (size_t at = from; at < out.size(); ++at) out[at] = made[(at - from) % 4][(at - from) / 4];
}

/// ln x of a float in (0, 1], within 1e-6 of it: series of atanh around 1 for the mantissa.
float quick_log(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  // The mantissa in [0.71, 1.41].
  const uint32_t shifted = bits - 0x3f3504f3U;
  const auto exponent = static_cast<int32_t>(shifted) >> 23;
  const auto mantissa = std::bit_cast<float>((shifted & 0x7fffffU) + 0x3f3504f3U);
  const float t = (mantissa - 1.0F) / (mantissa + 1.0F);
  const float s = t * t;
  const float series = 2.0F + s * (0.66666667F + s * (0.4F + s * (0.28571429F + s * 0.22222222F)));
  return static_cast<float>(exponent) * 0.69314718F + t * series;
}

/// sin and cos of `turns` full turns in [0, 1), within 1e-6: Taylor series on an eighth of a turn.
void quick_sin_cos(float turns, float& sine, float& cosine) {
  const float quarter = std::floor(turns * 4.0F + 0.5F);
  const float x = (turns - quarter * 0.25F) * 6.28318531F;
  const float s = x * x;
  const float sin_x = x * (1.0F + s * (-0.16666667F + s * (8.3333333e-3F + s * -1.9841270e-4F)));
  const float cos_x =
      1.0F + s * (-0.5F + s * (4.1666667e-2F + s * (-1.3888889e-3F + s * 2.4801587e-5F)));
  const auto turn = static_cast<int32_t>(quarter);
  const float a = (turn & 1) != 0 ? cos_x : sin_x;
  const float b = (turn & 1) != 0 ? sin_x : cos_x;
  sine = (turn & 2) != 0 ? -a : a;
  cosine = ((turn + 1) & 2) != 0 ? -b : b;
}

}  // namespace

void fill_words(uint64_t seed, uint64_t stream, std::span<uint32_t> out) {
  for_blocks(seed, stream, out.size(),
             [&](const WordBlock& block, size_t from) { store(block.word, from, out); });
}

void fill_uniform(uint64_t seed, uint64_t stream, std::span<float> out) {
  float made[4][kLanes];
  for_blocks(seed, stream, out.size(), [&](const WordBlock& block, size_t from) {
    for (size_t k = 0; k < 4; ++k)
      for (size_t i = 0; i < kLanes; ++i) made[k][i] = uniform_of(block.word[k][i]);
    store(made, from, out);
  });
}

void fill_normal(uint64_t seed, uint64_t stream, std::span<float> out) {
  float made[4][kLanes];
  for_blocks(seed, stream, out.size(), [&](const WordBlock& block, size_t from) {
    for (size_t pair = 0; pair < 4; pair += 2)
      for (size_t i = 0; i < kLanes; ++i) {
        // 1 - u lies in (0, 1], so the logarithm is finite.
        const float radius = std::sqrt(-2.0F * quick_log(1.0F - uniform_of(block.word[pair][i])));
        float sine;
        float cosine;
        quick_sin_cos(uniform_of(block.word[pair + 1][i]), sine, cosine);
        made[pair][i] = radius * cosine;
        made[pair + 1][i] = radius * sine;
      }
    store(made, from, out);
  });
}

PoissonTable::PoissonTable(double photons) {
  constexpr double kWords = 4294967296.0;
  for (int level = 0; level < 256; ++level) {
    const double mean = photons * level / 255.0;
    Row row;
    // Beyond eight deviations lies less than a word stands for.
    const double reach = 8.0 * std::sqrt(mean) + 16.0;
    row.least = static_cast<int32_t>(std::max(0.0, std::floor(mean - reach)));
    const auto most = static_cast<int32_t>(std::ceil(mean + reach));
    double sum = 0.0;
    for (int32_t k = row.least; k <= most; ++k) {
      sum += mean > 0.0 ? std::exp(k * std::log(mean) - mean - std::lgamma(k + 1.0))
                        : (k == 0 ? 1.0 : 0.0);
      const double words = std::round(sum * kWords);
      if (words >= kWords - 1.0) break;
      row.below.push_back(static_cast<uint32_t>(words));
    }
    row.below.push_back(0xffffffffU);
    size_t place = 0;
    for (uint32_t top = 0; top < 256; ++top) {
      while (row.below[place] <= top << 24 && place + 1 < row.below.size()) ++place;
      row.first.push_back(static_cast<uint16_t>(place));
    }
    rows_.push_back(std::move(row));
  }
}

int32_t PoissonTable::at(uint8_t level, uint32_t word) const {
  const Row& row = rows_[level];
  size_t place = row.first[word >> 24];
  while (place + 1 < row.below.size() && row.below[place] <= word) ++place;
  return row.least + static_cast<int32_t>(place);
}

const PoissonTable& poisson_table(double photons) {
  static std::mutex mutex;
  static std::map<double, PoissonTable> tables;
  const std::lock_guard lock(mutex);
  const auto found = tables.find(photons);
  if (found != tables.end()) return found->second;
  return tables.emplace(photons, PoissonTable(photons)).first->second;
}

}  // namespace pal
