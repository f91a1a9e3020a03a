#pragma once
#include <string>
#include <vector>

namespace pal {

/// One line or cloud of points of a chart.
struct Series {
  std::string name;  ///< in the legend; empty: not there
  std::vector<double> x = {}, y = {};
  std::vector<double> error = {};        ///< half length of a bar at each point; empty: none
  std::vector<std::string> labels = {};  ///< beside each point; empty: none
  bool line = true;                      ///< joined; else points alone
  bool dashed = false;
  bool dotted = false;
  bool cross = false;      ///< points are crosses
  bool hollow = false;     ///< points are circles
  bool points = true;      ///< of short lines are marked too
  double size = 1.0;       ///< of points, by that of others
  std::string color = {};  ///< as SVG has it; empty: one of the palette
  int place = -1;          ///< of that colour, from 0; negative: the next one
};

/// Lines and points over two axes, as an SVG picture. Colours are Okabe and Ito's, which people
/// with any colour vision can tell apart; after seven series they come again, with hollow points.
struct Chart {
  std::string title, x_title, y_title;
  std::vector<Series> series;
  int width = 560, height = 380;  ///< pixels
  /// Names of the places 0, 1, 2, ... on the x axis, in place of numbers; empty: numbers.
  std::vector<std::string> x_names = {};
  /// Range of an axis; equal: that of the values. What lies outside is not drawn.
  double x_low = 0.0, x_high = 0.0, y_low = 0.0, y_high = 0.0;
  /// Decades upwards: values that are not positive are left out, and the range is of log10 y.
  bool y_log = false;
  /// Units of y that are as long as one of x; 0: whatever fills the picture.
  double y_per_x = 0.0;

  /// The picture. Throws usage for series whose lists differ in length, or no finite point.
  std::string svg() const;
};

/// Round numbers, five or so, that divide a range for people.
std::vector<double> axis_ticks(double low, double high);

}  // namespace pal
