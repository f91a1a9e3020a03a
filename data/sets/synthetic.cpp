#include "data/sets/synthetic.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "runtime/error.h"
#include "runtime/parallel.h"
#include "runtime/philox.h"

namespace pal {
namespace {

constexpr int64_t kMaxPixels = int64_t{1} << 32;

void draw(const SyntheticOptions& options, int64_t index, uint8_t* pixels) {
  const Philox random(options.seed, RandomPurpose::sample, static_cast<uint64_t>(index));
  const auto look = random.uniform4(0);
  const auto blob = random.uniform4(1);
  const int64_t label = index % options.classes;
  const double angle = M_PI * static_cast<double>(label) / static_cast<double>(options.classes);
  const double side = static_cast<double>(std::min(options.height, options.width));
  const double stripes = (2.5 + look[0]) * 2.0 * M_PI / side;
  const double phase = 2.0 * M_PI * look[1];
  const double contrast = 60.0 + 50.0 * look[2];
  const double blob_x = blob[0] * static_cast<double>(options.width);
  const double blob_y = blob[1] * static_cast<double>(options.height);
  const double sharpness = 1.0 / (2.0 * std::pow(side * (0.08 + 0.08 * blob[2]), 2));
  uint32_t grain = 2;
  for (int64_t y = 0; y < options.height; ++y) {
    for (int64_t x = 0; x < options.width; ++x, ++grain) {
      const auto dx = static_cast<double>(x);
      const auto dy = static_cast<double>(y);
      const double wave = std::sin(stripes * (std::cos(angle) * dx + std::sin(angle) * dy) + phase);
      const double distance = std::pow(dx - blob_x, 2) + std::pow(dy - blob_y, 2);
      const double level = 115.0 + contrast * wave + 80.0 * std::exp(-distance * sharpness);
      const auto noise = random.uniform4(grain);
      for (int64_t c = 0; c < options.channels; ++c) {
        const double grey =
            level + 10.0 * noise[static_cast<size_t>(c % 4)] - 12.0 * static_cast<double>(c % 4);
        *pixels++ = static_cast<uint8_t>(std::clamp(grey, 0.0, 255.0));
      }
    }
  }
}

int64_t parse_part(const std::string& name, std::string_view part) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
  expect(error == std::errc() && end == part.data() + part.size() && value > 0,
         "{}: expected synthetic:CLASSES[:COUNT[:SIZE[:CHANNELS]]] with numbers from 1 on", name);
  return value;
}

}  // namespace

ImageSet synthetic_set(const SyntheticOptions& options) {
  expect(options.count > 0 && options.height > 0 && options.width > 0 && options.channels > 0 &&
             options.classes > 0 &&
             options.count <= kMaxPixels / options.height / options.width / options.channels,
         "synthetic_set: cannot make {} images of {}x{}x{} in {} classes", options.count,
         options.height, options.width, options.channels, options.classes);
  ImageSet set;
  set.name = "synthetic";
  set.count = options.count;
  set.height = options.height;
  set.width = options.width;
  set.channels = options.channels;
  set.classes = options.classes;
  for (int64_t c = 0; c < set.classes; ++c)
    set.class_names.push_back("stripes " + std::to_string(c));
  for (int64_t i = 0; i < set.count; ++i)
    set.labels.push_back(static_cast<int32_t>(i % options.classes));
  set.pixels.resize(static_cast<size_t>(set.count * set.image_size()));
  parallel_for(set.count, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      draw(options, i, &set.pixels[static_cast<size_t>(i * set.image_size())]);
  });
  set_fingerprint(set);
  return set;
}

ImageSet load_synthetic(const std::string& name, Split split) {
  expect(split == Split::train || split == Split::test, "{}: has the parts train and test, got {}",
         name, name_of(split));
  SyntheticOptions options;
  std::string_view rest = name;
  int64_t size = options.height;
  int64_t* const parts[] = {&options.classes, &options.count, &size, &options.channels};
  rest.remove_prefix(rest.find(':') + 1);
  for (size_t i = 0; i < std::size(parts); ++i) {
    const size_t colon = i + 1 < std::size(parts) ? rest.find(':') : std::string_view::npos;
    *parts[i] = parse_part(name, rest.substr(0, colon));
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  options.height = options.width = size;
  if (split == Split::test) {
    options.seed = 1;
    options.count = std::max<int64_t>(1, options.count / 4);
  }
  ImageSet set = synthetic_set(options);
  set.name = name;
  return set;
}

}  // namespace pal
