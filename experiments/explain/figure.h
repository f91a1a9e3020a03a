#pragma once
#include <string>
#include <vector>

#include "data/pictures/image_file.h"

namespace pal {

/// A figure of a program: a drawing, its numbers, and what to say on stdout.
struct Figure {
  std::string svg;
  std::string csv;
  std::vector<std::string> lines;
  Image picture;  ///< beside the drawing, as PNG; empty: none
};

}  // namespace pal
