#include "data/variants/variant_set.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "data/variants/changed_set.h"
#include "runtime/error.h"
#include "runtime/philox.h"

namespace pal {
namespace {

constexpr std::array kNames = {
    std::pair("hflip", Variant::hflip),       std::pair("vflip", Variant::vflip),
    std::pair("inverted", Variant::inverted), std::pair("low-contrast", Variant::low_contrast),
    std::pair("noise", Variant::noise),       std::pair("shuffled", Variant::shuffled),
    std::pair("constant", Variant::constant)};

constexpr double kContrast = 0.3;
constexpr double kMost = 255.0;

/// The levels of one image, channels last.
struct Levels {
  int64_t height, width, channels;
  std::vector<double> values;

  double& at(int64_t y, int64_t x, int64_t c) {
    return values[static_cast<size_t>((y * width + x) * channels + c)];
  }
};

void lower_contrast(Levels& image) {
  const int64_t pixels = image.height * image.width;
  for (int64_t c = 0; c < image.channels; ++c) {
    double mean = 0.0;
    for (int64_t i = 0; i < pixels; ++i)
      mean += image.values[static_cast<size_t>(i * image.channels + c)];
    mean /= static_cast<double>(pixels);
    for (int64_t i = 0; i < pixels; ++i) {
      double& value = image.values[static_cast<size_t>(i * image.channels + c)];
      value = std::round(mean + kContrast * (value - mean));
    }
  }
}

void apply(Variant variant, Levels& image, const Philox& random) {
  const auto level = [&](uint32_t index) { return static_cast<double>(random.below(index, 256)); };
  const Levels before = image;
  Levels from = before;
  switch (variant) {
    case Variant::hflip:
    case Variant::vflip:
      for (int64_t y = 0; y < image.height; ++y)
        for (int64_t x = 0; x < image.width; ++x)
          for (int64_t c = 0; c < image.channels; ++c)
            image.at(y, x, c) = variant == Variant::hflip ? from.at(y, image.width - 1 - x, c)
                                                          : from.at(image.height - 1 - y, x, c);
      return;
    case Variant::inverted:
      for (double& value : image.values) value = kMost - value;
      return;
    case Variant::low_contrast:
      lower_contrast(image);
      return;
    case Variant::noise:
      for (size_t i = 0; i < image.values.size(); ++i)
        image.values[i] = level(static_cast<uint32_t>(i));
      return;
    case Variant::constant:
      for (size_t i = 0; i < image.values.size(); ++i)
        image.values[i] = level(static_cast<uint32_t>(i % static_cast<size_t>(image.channels)));
      return;
    case Variant::shuffled:
      break;
  }
  std::vector<int64_t> order(static_cast<size_t>(image.height * image.width));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (size_t i = order.size() - 1; i > 0; --i)
    std::swap(order[i], order[random.below(static_cast<uint32_t>(i), i + 1)]);
  for (size_t i = 0; i < order.size(); ++i)
    for (int64_t c = 0; c < image.channels; ++c)
      image.values[i * static_cast<size_t>(image.channels) + static_cast<size_t>(c)] =
          before.values[static_cast<size_t>(order[i] * image.channels + c)];
}

/// The variant of an 8-bit image.
Image changed(const Image& image, Variant variant, const Philox& random) {
  Levels levels{
      image.height, image.width, image.channels, {image.pixels.begin(), image.pixels.end()}};
  apply(variant, levels, random);
  Image made{image.width, image.height, image.channels, {}, {}};
  for (const double value : levels.values) made.pixels.push_back(static_cast<uint8_t>(value));
  return made;
}

}  // namespace

const char* name_of(Variant variant) {
  for (const auto& [name, value] : kNames)
    if (value == variant) return name;
  fail(ErrorKind::failure, "name_of: no such variant");
}

std::optional<Variant> variant_of(const std::string& name) {
  for (const auto& [known, value] : kNames)
    if (name == known) return value;
  return std::nullopt;
}

std::vector<std::string> variant_names() {
  std::vector<std::string> names;
  for (const auto& [name, value] : kNames) names.emplace_back(name);
  return names;
}

std::unique_ptr<Dataset> variant_set(const Dataset& base, Variant variant) {
  return changed_set(
      base, name_of(variant), [variant](const Image& image, int64_t index, uint64_t seed) {
        return changed(image, variant,
                       Philox(seed, RandomPurpose::sample, static_cast<uint64_t>(index)));
      });
}

}  // namespace pal
