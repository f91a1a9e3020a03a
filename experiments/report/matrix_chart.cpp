#include "experiments/report/matrix_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>

#include "experiments/report/svg_text.h"
#include "runtime/error.h"

namespace pal {
namespace {

/// From white to a dark blue, evenly in lightness (ColorBrewer's Blues of two).
std::array<uint8_t, 3> shade(double share) {
  const auto between = [share](int from, int to) {
    return static_cast<uint8_t>(std::lround(from + share * (to - from)));
  };
  return {between(247, 8), between(251, 48), between(255, 107)};
}

std::string shade_text(double share) {
  const auto [red, green, blue] = shade(share);
  return fmt::format("#{:02x}{:02x}{:02x}", red, green, blue);
}

}  // namespace

std::string MatrixChart::svg() const {
  expect(!rows.empty() && !columns.empty() && values.size() == rows.size() * columns.size(),
         "MatrixChart: {} values of {} x {}", values.size(), rows.size(), columns.size());
  expect(colors.empty() || colors.size() == values.size(), "MatrixChart: {} colours of {} cells",
         colors.size(), values.size());
  constexpr size_t kWithNumbers = 20;
  const bool numbers = rows.size() <= kWithNumbers && columns.size() <= kWithNumbers;
  const double cell = numbers ? 46.0 : std::max(1.0, 900.0 / static_cast<double>(rows.size()));
  const double height = numbers ? 30.0 : cell;
  size_t longest = 0;
  for (const auto& names : {rows, columns})
    for (const std::string& name : names) longest = std::max(longest, name.size());
  const bool named = height >= 9.0;
  const double margin = named ? 14.0 + 6.8 * static_cast<double>(longest) : 20.0;
  const double top = 34.0 + margin;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const double v : values)
    if (std::isfinite(v)) {
      low = std::min(low, v);
      high = std::max(high, v);
    }
  std::string text;
  const auto out = std::back_inserter(text);
  const auto share_of = [&](double v) { return high > low ? (v - low) / (high - low) : 0.0; };
  constexpr size_t kMostShapes = 10000;
  if (values.size() > kMostShapes) {
    // A picture of one pixel for each cell, as so many shapes are more than viewers can bear.
    Image cells{static_cast<int64_t>(columns.size()), static_cast<int64_t>(rows.size()), 3, {}, {}};
    for (const double v : values) {
      const auto color =
          std::isfinite(v) ? shade(share_of(v)) : std::array<uint8_t, 3>{255, 255, 255};
      cells.pixels.insert(cells.pixels.end(), color.begin(), color.end());
    }
    fmt::format_to(out,
                   R"(<image x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" )"
                   R"(preserveAspectRatio="none" style="image-rendering:pixelated" href="{}"/>)",
                   margin, top, cell * static_cast<double>(columns.size()),
                   height * static_cast<double>(rows.size()), data_address(cells));
    text += '\n';
  }
  for (size_t r = 0; r < rows.size() && values.size() <= kMostShapes; ++r)
    for (size_t c = 0; c < columns.size(); ++c) {
      const double v = values[r * columns.size() + c];
      if (!std::isfinite(v)) continue;
      const double share = share_of(v);
      const double x = margin + cell * static_cast<double>(c);
      const double y = top + height * static_cast<double>(r);
      fmt::format_to(
          out, R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"/>)", x, y,
          cell, height, colors.empty() ? shade_text(share) : colors[r * columns.size() + c]);
      if (numbers)
        fmt::format_to(
            out, R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle" fill="{}">{:.{}f}</text>)",
            x + 0.5 * cell, y + 0.5 * height + 4.0,
            colors.empty() && share > 0.5 ? "white" : "black", v, digits);
      text += '\n';
    }
  for (size_t r = 0; named && r < rows.size(); ++r)
    fmt::format_to(out, "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
                   margin - 6.0, top + height * (static_cast<double>(r) + 0.5) + 4.0,
                   svg_text(rows[r]));
  for (size_t c = 0; named && c < columns.size(); ++c)
    fmt::format_to(out, "<text transform=\"translate({:.1f} {:.1f}) rotate(-60)\">{}</text>\n",
                   margin + cell * (static_cast<double>(c) + 0.5) + 4.0, top - 6.0,
                   svg_text(columns[c]));
  const double width = margin + cell * static_cast<double>(columns.size()) + 60.0;
  const double whole = top + height * static_cast<double>(rows.size()) + 30.0;
  fmt::format_to(out, "<text x=\"12\" y=\"20\" font-weight=\"bold\">{}</text>\n", svg_text(title));
  const std::string range =
      colors.empty() ? fmt::format(": {:.3g} (white) to {:.3g} (dark)", low, high) : "";
  fmt::format_to(out, "<text x=\"{:.1f}\" y=\"{:.1f}\">{}{}</text>\n", margin, whole - 10.0,
                 svg_text(unit), range);
  return svg_picture(static_cast<int>(std::max(width, 580.0)), static_cast<int>(whole), text);
}

}  // namespace pal
