#pragma once
#include <cstdint>
#include <vector>

#include "data/corruptions/float_image.h"

namespace pal {

/// Where a plane has edges.
struct EdgeMap {
  int64_t height = 0;
  int64_t width = 0;
  std::vector<uint8_t> marked;  ///< [height, width], 1 on an edge
};

/// Canny's edges of one channel of whole levels, as OpenCV finds them: gradients of Sobel's filter, the
/// sum of both directions' sizes, thinned across the edge; those above `high`, and what hangs
/// together with them above `low`.
EdgeMap edges_of(const FloatImage& plane, float low, float high);

/// How far each pixel is from the nearest edge, by steps of 1, 1.4 and 2.1969 to its neighbours
/// (OpenCV's mask of 5 x 5); very far where there are none.
FloatImage edge_distance(const EdgeMap& edges);

}  // namespace pal
