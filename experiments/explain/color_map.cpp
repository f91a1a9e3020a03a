#include "experiments/explain/color_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "data/pictures/text_image.h"
#include "runtime/error.h"

namespace pal {
namespace {

using Color = std::array<double, 3>;

/// viridis (van der Walt and Smith 2015) at nine even places.
constexpr std::array<Color, 9> kSequential = {{{68, 1, 84},
                                               {71, 45, 123},
                                               {59, 82, 139},
                                               {44, 114, 142},
                                               {33, 144, 140},
                                               {39, 173, 129},
                                               {93, 200, 99},
                                               {170, 220, 50},
                                               {253, 231, 37}}};
/// ColorBrewer's RdBu of five, turned round.
constexpr std::array<Color, 5> kDiverging = {
    {{5, 113, 176}, {146, 197, 222}, {247, 247, 247}, {244, 165, 130}, {202, 0, 32}}};

template <size_t N>
Rgb between(const std::array<Color, N>& colors, double share) {
  const double place = std::clamp(share, 0.0, 1.0) * static_cast<double>(N - 1);
  const auto below = std::min(static_cast<size_t>(place), N - 2);
  const double part = place - static_cast<double>(below);
  Rgb color{};
  for (size_t c = 0; c < 3; ++c)
    color[c] = static_cast<uint8_t>(
        std::lround((1.0 - part) * colors[below][c] + part * colors[below + 1][c]));
  return color;
}

/// The value of a map of cells at a place in [0, 1) x [0, 1).
double value_at(std::span<const double> map, int64_t side, double y, double x) {
  const auto axis = [side](double place) {
    const double at =
        std::clamp(place * static_cast<double>(side) - 0.5, 0.0, static_cast<double>(side - 1));
    const auto first = std::min(static_cast<int64_t>(at), std::max<int64_t>(side - 2, 0));
    return std::pair(first, at - static_cast<double>(first));
  };
  const auto [row, down] = axis(y);
  const auto [column, right] = axis(x);
  const int64_t next_row = std::min(row + 1, side - 1);
  const int64_t next_column = std::min(column + 1, side - 1);
  const auto at = [&](int64_t r, int64_t c) { return map[static_cast<size_t>(r * side + c)]; };
  return (1.0 - down) * ((1.0 - right) * at(row, column) + right * at(row, next_column)) +
         down * ((1.0 - right) * at(next_row, column) + right * at(next_row, next_column));
}

double grey_of(const Image& picture, int64_t y, int64_t x) {
  const uint8_t* const pixel =
      &picture.pixels[static_cast<size_t>(y * picture.row() + x * picture.channels)];
  if (picture.channels == 1) return pixel[0];
  return 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
}

/// Mean grey of the outermost pixels.
double mean_border(const Image& picture) {
  double sum = 0.0;
  int64_t count = 0;
  for (int64_t y = 0; y < picture.height; ++y)
    for (int64_t x = 0; x < picture.width; ++x)
      if (y == 0 || x == 0 || y + 1 == picture.height || x + 1 == picture.width) {
        sum += grey_of(picture, y, x);
        ++count;
      }
  return sum / static_cast<double>(count);
}

Image blank(int64_t width, int64_t height) {
  return {width, height, 3, std::vector<uint8_t>(static_cast<size_t>(3 * width * height), 255), {}};
}

}  // namespace

Rgb sequential_color(double share) { return between(kSequential, share); }

Rgb diverging_color(double share) { return between(kDiverging, 0.5 * (share + 1.0)); }

Rgb ColorScale::color(double value) const {
  const double width = high - low;
  const double share = width > 0.0 ? (value - low) / width : 0.5;
  return diverging ? diverging_color(2.0 * share - 1.0) : sequential_color(share);
}

ColorScale scale_of(const std::vector<std::vector<double>>& maps, bool diverging) {
  ColorScale scale{std::numeric_limits<double>::infinity(),
                   -std::numeric_limits<double>::infinity(), diverging};
  for (const auto& map : maps)
    for (const double value : map) {
      scale.low = std::min(scale.low, value);
      scale.high = std::max(scale.high, value);
    }
  if (diverging) {
    scale.high = std::max(std::abs(scale.low), std::abs(scale.high));
    scale.low = -scale.high;
  }
  return scale;
}

Image overlay(const Image& picture, std::span<const double> map, int64_t side,
              const ColorScale& colors, int64_t scale) {
  expect(static_cast<int64_t>(map.size()) == side * side, "overlay: {} values for {} x {}",
         map.size(), side, side);
  constexpr double kPicture = 0.4;  // how much of it shines through
  constexpr double kShade = 0.3;    // how far it darkens
  const bool dark_border = mean_border(picture) < 128.0;
  Image out = blank(picture.width * scale, picture.height * scale);
  for (int64_t y = 0; y < out.height; ++y)
    for (int64_t x = 0; x < out.width; ++x) {
      const auto color = colors.color(
          value_at(map, side, (static_cast<double>(y) + 0.5) / static_cast<double>(out.height),
                   (static_cast<double>(x) + 0.5) / static_cast<double>(out.width)));
      const double grey = grey_of(picture, y / scale, x / scale);
      const double ink = (dark_border ? grey : 255.0 - grey) / 255.0;
      for (size_t c = 0; c < 3; ++c)
        out.pixels[static_cast<size_t>(y * out.row() + 3 * x) + c] = static_cast<uint8_t>(
            std::lround(colors.diverging ? color[c] * (1.0 - kShade * ink)
                                         : (1.0 - kPicture) * color[c] + kPicture * grey));
    }
  return out;
}

Image enlarged(const Image& picture, int64_t scale) {
  Image out = blank(picture.width * scale, picture.height * scale);
  for (int64_t y = 0; y < out.height; ++y)
    for (int64_t x = 0; x < out.width; ++x)
      for (int64_t c = 0; c < 3; ++c)
        out.pixels[static_cast<size_t>(y * out.row() + 3 * x + c)] =
            picture.pixels[static_cast<size_t>((y / scale) * picture.row() +
                                               (x / scale) * picture.channels +
                                               std::min(c, picture.channels - 1))];
  return out;
}

Image color_bar(const ColorScale& colors, const std::string& unit, int64_t width, int64_t height) {
  constexpr int64_t kBar = 12;
  constexpr int64_t kGap = 4;
  Image out = blank(width, height);
  const int64_t line = text_height();
  const int64_t bottom = height - line - kGap;  // of the bar; the unit stands below
  for (int64_t y = 0; y < bottom; ++y) {
    const double share = 1.0 - (static_cast<double>(y) + 0.5) / static_cast<double>(bottom);
    const auto color = colors.color(colors.low + share * (colors.high - colors.low));
    for (int64_t x = 0; x < std::min(kBar, width); ++x)
      std::ranges::copy(color, &out.pixels[static_cast<size_t>(y * out.row() + 3 * x)]);
  }
  const auto number = [&](double value, int64_t y) {
    draw_text(out, kBar + kGap, std::clamp<int64_t>(y, 0, bottom - line),
              fmt::format("{:.3g}", value));
  };
  number(colors.high, 0);
  if (bottom >= 4 * line) number(0.5 * (colors.low + colors.high), (bottom - line) / 2);
  number(colors.low, bottom - line);
  draw_text(out, 0, height - line, shortened(unit, width));
  return out;
}

}  // namespace pal
