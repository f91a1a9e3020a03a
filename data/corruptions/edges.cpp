#include "data/corruptions/edges.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace pal {
namespace {

constexpr float kVeryFar = 8192.0F;

/// A plane's slopes and their size, with one pixel around it where the size is 0.
struct Slopes {
  FloatImage dx, dy, size;
};

Slopes slopes_of(const FloatImage& plane) {
  const FloatImage wide = padded(plane, 1, 1, Border::replicate);
  Slopes made{FloatImage(wide.height, wide.width, 1), FloatImage(wide.height, wide.width, 1),
              FloatImage(wide.height, wide.width, 1)};
  for (int64_t y = 1; y <= plane.height; ++y) {
    const float* up = wide.row_at(y - 1);
    const float* here = wide.row_at(y);
    const float* down = wide.row_at(y + 1);
    for (int64_t x = 1; x <= plane.width; ++x) {
      const float dx =
          up[x + 1] - up[x - 1] + 2.0F * (here[x + 1] - here[x - 1]) + down[x + 1] - down[x - 1];
      const float dy = down[x - 1] - up[x - 1] + 2.0F * (down[x] - up[x]) + down[x + 1] - up[x + 1];
      made.dx.row_at(y)[x] = dx;
      made.dy.row_at(y)[x] = dy;
      made.size.row_at(y)[x] = std::abs(dx) + std::abs(dy);
    }
  }
  return made;
}

/// Whether a pixel is the steepest across its edge.
bool is_crest(const Slopes& slopes, int64_t y, int64_t x) {
  constexpr float kTangent = 0.41421356F;  // of 22.5 degrees
  const float dx = slopes.dx.row_at(y)[x];
  const float dy = slopes.dy.row_at(y)[x];
  const float flat = std::abs(dx) * kTangent;
  const float size = slopes.size.row_at(y)[x];
  const auto at = [&](int64_t row, int64_t column) { return slopes.size.row_at(row)[column]; };
  if (std::abs(dy) < flat) return size > at(y, x - 1) && size >= at(y, x + 1);
  if (std::abs(dy) > flat + 2.0F * std::abs(dx)) return size > at(y - 1, x) && size >= at(y + 1, x);
  const int64_t side = (dx < 0.0F) != (dy < 0.0F) ? -1 : 1;
  return size > at(y - 1, x - side) && size > at(y + 1, x + side);
}

/// One step of the distance transform: to a neighbour, and how long it is.
struct Step {
  int64_t dy, dx;
  float length;
};

constexpr std::array kSteps = {Step{-2, -1, 2.1969F}, Step{-2, 1, 2.1969F}, Step{-1, -2, 2.1969F},
                               Step{-1, -1, 1.4F},    Step{-1, 0, 1.0F},    Step{-1, 1, 1.4F},
                               Step{-1, 2, 2.1969F},  Step{0, -1, 1.0F}};

}  // namespace

EdgeMap edges_of(const FloatImage& plane, float low, float high) {
  const Slopes slopes = slopes_of(plane);
  EdgeMap edges{plane.height, plane.width, {}};
  edges.marked.resize(plane.values.size());
  const auto place = [&](int64_t y, int64_t x) { return static_cast<size_t>(y * plane.width + x); };
  std::vector<uint8_t> weak(plane.values.size());
  std::vector<std::pair<int64_t, int64_t>> found;
  for (int64_t y = 0; y < plane.height; ++y)
    for (int64_t x = 0; x < plane.width; ++x) {
      const float size = slopes.size.row_at(y + 1)[x + 1];
      if (size <= low || !is_crest(slopes, y + 1, x + 1)) continue;
      weak[place(y, x)] = 1;
      if (size <= high) continue;
      edges.marked[place(y, x)] = 1;
      found.emplace_back(y, x);
    }
  while (!found.empty()) {
    const auto [y, x] = found.back();
    found.pop_back();
    for (int64_t row = std::max<int64_t>(y - 1, 0); row <= std::min(y + 1, plane.height - 1); ++row)
      for (int64_t column = std::max<int64_t>(x - 1, 0); column <= std::min(x + 1, plane.width - 1);
           ++column)
        if (weak[place(row, column)] != 0 && edges.marked[place(row, column)] == 0) {
          edges.marked[place(row, column)] = 1;
          found.emplace_back(row, column);
        }
  }
  return edges;
}

FloatImage edge_distance(const EdgeMap& edges) {
  FloatImage wide(edges.height + 4, edges.width + 4, 1);
  std::ranges::fill(wide.values, kVeryFar);
  for (int64_t y = 0; y < edges.height; ++y)
    for (int64_t x = 0; x < edges.width; ++x) {
      float& value = wide.row_at(y + 2)[x + 2];
      if (edges.marked[static_cast<size_t>(y * edges.width + x)] != 0) value = 0.0F;
      for (const Step& step : kSteps)
        value = std::min(value, wide.row_at(y + 2 + step.dy)[x + 2 + step.dx] + step.length);
    }
  FloatImage made(edges.height, edges.width, 1);
  for (int64_t y = edges.height - 1; y >= 0; --y)
    for (int64_t x = edges.width - 1; x >= 0; --x) {
      float& value = wide.row_at(y + 2)[x + 2];
      for (const Step& step : kSteps)
        value = std::min(value, wide.row_at(y + 2 - step.dy)[x + 2 - step.dx] + step.length);
      made.row_at(y)[x] = value;
    }
  return made;
}

}  // namespace pal
