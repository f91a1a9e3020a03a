#pragma once
#include <string>
#include <vector>

namespace pal {

/// A square table of numbers as coloured cells with names, as an SVG picture; the numbers stand in
/// the cells of small ones. A value that is not a number leaves its cell white.
struct MatrixChart {
  std::string title, unit;
  std::vector<std::string> rows, columns;
  std::vector<double> values;  ///< [rows, columns]
  /// Light colours of the cells, as SVG has them, [rows, columns], which `unit` then explains;
  /// empty: from white to dark by the value.
  std::vector<std::string> colors = {};
  int digits = 2;  ///< after the point

  /// Throws usage if the sizes do not fit.
  std::string svg() const;
};

}  // namespace pal
