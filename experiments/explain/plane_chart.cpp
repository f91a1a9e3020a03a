#include "experiments/explain/plane_chart.h"

#include <algorithm>

namespace pal {

void PlaneWindow::take(const PlanePoint& p) {
  for (size_t k = 0; k < 2; ++k) {
    low[k] = std::min(low[k], p[k]);
    high[k] = std::max(high[k], p[k]);
  }
}

void PlaneWindow::widen(double share) {
  const double room = share * std::max(high[0] - low[0], high[1] - low[1]);
  for (size_t k = 0; k < 2; ++k) {
    low[k] -= room;
    high[k] += room;
  }
}

PlaneWindow PlaneWindow::surroundings() const {
  PlaneWindow far = *this;
  const double size = std::max(high[0] - low[0], high[1] - low[1]);
  for (size_t k = 0; k < 2; ++k) {
    far.low[k] -= 2.0 * size;
    far.high[k] += 2.0 * size;
  }
  return far;
}

Chart plane_chart(const std::string& title, const PlaneWindow& window) {
  Chart chart;
  chart.title = title;
  chart.x_title = "along the first axis of the plane";
  chart.y_title = "along the second";
  chart.width = 820;
  chart.height = 640;
  chart.y_per_x = 1.0;
  chart.x_low = window.low[0];
  chart.x_high = window.high[0];
  chart.y_low = window.low[1];
  chart.y_high = window.high[1];
  return chart;
}

Series border_series(const std::string& name, const std::vector<CellBorder>& borders) {
  constexpr double kGap = std::numeric_limits<double>::quiet_NaN();
  Series series{.name = name, .points = false, .color = "#555"};
  for (const CellBorder& border : borders) {
    series.x.insert(series.x.end(), {border.from[0], border.to[0], kGap});
    series.y.insert(series.y.end(), {border.from[1], border.to[1], kGap});
  }
  return series;
}

}  // namespace pal
