#include "experiments/report/chart.h"

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

constexpr std::array<const char*, 7> kColors = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                "#e69f00", "#56b4e9", "#000000"};
constexpr double kMarginLeft = 68.0, kMarginTop = 34.0, kMarginRight = 16.0, kMarginBottom = 52.0;

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void take(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  /// Room around the values, or the range that is asked for.
  void settle(double wanted_low, double wanted_high) {
    if (wanted_low < wanted_high) {
      low = wanted_low;
      high = wanted_high;
      return;
    }
    const double room = high > low ? 0.04 * (high - low) : std::max(0.5, 0.1 * std::abs(low));
    low -= room;
    high += room;
  }
};

/// Width of the names of series; 0 where none has one.
double legend_width(const Chart& chart) {
  size_t longest = 0;
  for (const Series& series : chart.series) longest = std::max(longest, series.name.size());
  return longest == 0 ? 0.0 : 44.0 + 6.6 * static_cast<double>(longest);
}

/// How a series looks: its colour and its points.
struct Look {
  std::string color;
  bool hollow = false;
  bool cross = false;
  double size = 1.0;
};

/// How a line is broken, as an attribute.
const char* dashes_of(const Series& series) {
  if (series.dotted) return R"( stroke-dasharray="0.1 4" stroke-linecap="round")";
  return series.dashed ? R"( stroke-dasharray="6 4")" : "";
}

std::vector<Look> looks_of(const std::vector<Series>& all) {
  std::vector<Look> looks;
  size_t next = 0;
  for (const Series& series : all) {
    if (!series.color.empty()) {
      looks.push_back({series.color, series.hollow, series.cross, series.size});
      continue;
    }
    const size_t place = series.place < 0 ? next++ : static_cast<size_t>(series.place);
    looks.push_back({kColors[place % kColors.size()],
                     series.hollow || place / kColors.size() % 2 == 1, series.cross, series.size});
  }
  return looks;
}

/// Powers of ten within a range of log10, and where these are few, twice and five times them.
std::vector<double> decade_ticks(double low, double high) {
  constexpr double kMany = 3.0;
  std::vector<double> ticks;
  for (double decade = std::floor(low); decade <= high; decade += 1.0)
    for (const double digit : {1.0, 2.0, 5.0}) {
      const double tick = decade + std::log10(digit);
      if (tick >= low && tick <= high && (digit == 1.0 || high - low < kMany))
        ticks.push_back(tick);
    }
  return ticks;
}

/// The values of a chart of decades as powers of ten.
std::vector<Series> in_decades(std::vector<Series> all) {
  for (Series& series : all)
    for (double& y : series.y)
      y = y > 0.0 ? std::log10(y) : std::numeric_limits<double>::quiet_NaN();
  return all;
}

/// The picture while it is drawn.
class Canvas {
 public:
  Canvas(const Chart& chart, Range x, Range y)
      : x_(x),
        y_(y),
        width_(chart.width - kMarginLeft - kMarginRight - legend_width(chart)),
        height_(chart.height - kMarginTop - kMarginBottom) {
    if (chart.y_per_x == 0.0) return;
    // The axis with room to spare gets a wider range.
    const double unit =
        std::max((x_.high - x_.low) / width_, (y_.high - y_.low) / height_ / chart.y_per_x);
    widen(x_, unit * width_);
    widen(y_, unit * height_ * chart.y_per_x);
  }

  double across(double x) const { return kMarginLeft + width_ * (x - x_.low) / (x_.high - x_.low); }
  double down(double y) const {
    return kMarginTop + height_ * (1.0 - (y - y_.low) / (y_.high - y_.low));
  }
  const Range& x() const { return x_; }
  const Range& y() const { return y_; }
  double width() const { return width_; }
  double height() const { return height_; }
  /// Whether there is a point, in the range of the axes.
  bool shows(double x, double y) const {
    return x >= x_.low && x <= x_.high && y >= y_.low && y <= y_.high;
  }

  template <typename... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    text_ += '\n';
  }
  std::string take() { return std::move(text_); }

 private:
  static void widen(Range& range, double length) {
    const double room = length - (range.high - range.low);
    // What begins at 0 goes on doing so.
    const double below = range.low == 0.0 ? 0.0 : 0.5 * room;
    range.low -= below;
    range.high += room - below;
  }

  Range x_, y_;
  double width_, height_;
  std::string text_;
};

void draw_axes(Canvas& canvas, const Chart& chart) {
  const double left = kMarginLeft, top = kMarginTop;
  const double right = left + canvas.width(), bottom = top + canvas.height();
  const auto tick_across = [&](double tick, const std::string& name) {
    const double at = canvas.across(tick);
    canvas.add(R"(<line x1="{0:.1f}" x2="{0:.1f}" y1="{1:.1f}" y2="{2:.1f}" stroke="#ddd"/>)", at,
               top, bottom);
    canvas.add(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>)", at, bottom + 16.0,
               svg_text(name));
  };
  for (size_t k = 0; k < chart.x_names.size(); ++k)
    tick_across(static_cast<double>(k), chart.x_names[k]);
  if (chart.x_names.empty())
    for (const double tick : axis_ticks(canvas.x().low, canvas.x().high))
      tick_across(tick, fmt::format("{:g}", tick));
  for (const double tick : chart.y_log ? decade_ticks(canvas.y().low, canvas.y().high)
                                       : axis_ticks(canvas.y().low, canvas.y().high)) {
    const double at = canvas.down(tick);
    canvas.add(R"(<line x1="{1:.1f}" x2="{2:.1f}" y1="{0:.1f}" y2="{0:.1f}" stroke="#ddd"/>)", at,
               left, right);
    canvas.add(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="end">{:g}</text>)", left - 6.0, at + 4.0,
               chart.y_log ? std::pow(10.0, tick) : tick);
  }
  canvas.add(
      R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="none" stroke="#444"/>)",
      left, top, canvas.width(), canvas.height());
  canvas.add(R"(<text x="{:.1f}" y="20" text-anchor="middle" font-weight="bold">{}</text>)",
             0.5 * (left + right), svg_text(chart.title));
  canvas.add(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>)", 0.5 * (left + right),
             bottom + 38.0, svg_text(chart.x_title));
  canvas.add(
      R"svg(<text transform="translate(16 {:.1f}) rotate(-90)" text-anchor="middle">{}</text>)svg",
      0.5 * (top + bottom), svg_text(chart.y_title));
}

void draw_point(Canvas& canvas, double x, double y, double usual, const Look& look) {
  const double radius = usual * look.size;
  if (look.cross)
    canvas.add(
        R"(<path d="M{0:.2f} {1:.2f} h{2} M{3:.2f} {4:.2f} v{2}" stroke="{5}" stroke-width="2"/>)",
        x - 2.0 * radius, y, 4.0 * radius, x, y - 2.0 * radius, look.color);
  else if (look.hollow)
    canvas.add(
        R"(<circle cx="{:.2f}" cy="{:.2f}" r="{}" fill="white" stroke="{}" stroke-width="1.3"/>)",
        x, y, radius, look.color);
  else
    canvas.add(R"(<circle cx="{:.2f}" cy="{:.2f}" r="{}" fill="{}"/>)", x, y, radius, look.color);
}

void draw_series(Canvas& canvas, const Series& series, const Look& look) {
  if (series.x.empty()) return;  // stands in the legend alone
  std::string path;
  bool pen_down = false;
  for (size_t i = 0; i < series.x.size(); ++i) {
    if (!std::isfinite(series.x[i]) || !std::isfinite(series.y[i])) {
      pen_down = false;
      continue;
    }
    fmt::format_to(std::back_inserter(path), "{}{:.2f} {:.2f}", pen_down ? " L" : " M",
                   canvas.across(series.x[i]), canvas.down(series.y[i]));
    pen_down = true;
  }
  if (series.line)
    // A picture of its own, which cuts off what lies outside a range that was asked for.
    canvas.add(
        R"(<svg x="{0:.1f}" y="{1:.1f}" width="{2:.1f}" height="{3:.1f}" viewBox="{0:.1f} {1:.1f} {2:.1f} {3:.1f}"><path d="{4}" fill="none" stroke="{5}" stroke-width="1.8"{6}/></svg>)",
        kMarginLeft, kMarginTop, canvas.width(), canvas.height(), path, look.color,
        dashes_of(series));
  // Points of long lines would hide the line.
  constexpr size_t kFewPoints = 40;
  constexpr size_t kManyPoints = 200;
  const double radius = series.x.size() > kManyPoints ? 2.0 : 2.8;
  for (size_t i = 0; i < series.x.size(); ++i) {
    if (!canvas.shows(series.x[i], series.y[i])) continue;
    const double x = canvas.across(series.x[i]);
    if (!series.error.empty() && series.error[i] > 0.0)
      canvas.add(R"(<line x1="{0:.2f}" x2="{0:.2f}" y1="{1:.2f}" y2="{2:.2f}" stroke="{3}"/>)", x,
                 canvas.down(std::min(series.y[i] + series.error[i], canvas.y().high)),
                 canvas.down(std::max(series.y[i] - series.error[i], canvas.y().low)), look.color);
    if (!series.line || (series.points && series.x.size() <= kFewPoints))
      draw_point(canvas, x, canvas.down(series.y[i]), radius, look);
  }
}

/// Where a label stands, in pixels.
struct LabelBox {
  double left, right, top, bottom;

  bool meets(const LabelBox& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

/// Texts beside points, over all that is drawn, on a thin ground of their own: of the places right
/// and left of a point, above and below it, the first that lies in the plot and on no other label.
void draw_labels(Canvas& canvas, const std::vector<Series>& all) {
  constexpr double kCharacter = 6.6, kHeight = 12.0, kBeside = 6.0;
  struct Place {
    bool left;
    double down;  // of the baseline from the point
  };
  constexpr Place kPlaces[] = {{false, -5.0}, {false, 13.0}, {true, -5.0},   {true, 13.0},
                               {false, 4.0},  {true, 4.0},   {false, -18.0}, {false, 26.0},
                               {true, -18.0}, {true, 26.0}};
  const double edge = kMarginLeft + canvas.width(), bottom = kMarginTop + canvas.height();
  constexpr double kPoint = 3.0;  // about the size of a point
  std::vector<LabelBox> taken;
  for (const Series& series : all)
    for (size_t i = 0; i < series.labels.size(); ++i) {
      if (!canvas.shows(series.x[i], series.y[i])) continue;
      const double x = canvas.across(series.x[i]), y = canvas.down(series.y[i]);
      taken.push_back({x - kPoint, x + kPoint, y - kPoint, y + kPoint});
    }
  for (const Series& series : all)
    for (size_t i = 0; i < series.labels.size(); ++i) {
      if (!canvas.shows(series.x[i], series.y[i])) continue;
      const double x = canvas.across(series.x[i]), y = canvas.down(series.y[i]);
      const double width = kCharacter * static_cast<double>(series.labels[i].size());
      const auto box_at = [&](const Place& place) {
        const double start = place.left ? x - kBeside - width : x + kBeside;
        const double baseline = y + place.down;
        return LabelBox{start, start + width, baseline - kHeight + 2.0, baseline + 2.0};
      };
      const auto is_free = [&](const Place& place) {
        const LabelBox box = box_at(place);
        return box.left >= kMarginLeft && box.right <= edge && box.top >= kMarginTop &&
               box.bottom <= bottom &&
               std::ranges::none_of(taken, [&](const LabelBox& one) { return box.meets(one); });
      };
      const auto* place = std::ranges::find_if(kPlaces, is_free);
      if (place == std::end(kPlaces)) place = std::begin(kPlaces);
      taken.push_back(box_at(*place));
      // The ground is a text of its own: not every viewer knows in which order to paint one text.
      for (const char* const look : {R"( stroke="white" stroke-width="3")", ""})
        canvas.add(R"(<text x="{:.2f}" y="{:.2f}" text-anchor="{}"{}>{}</text>)",
                   place->left ? x - kBeside : x + kBeside, y + place->down,
                   place->left ? "end" : "start", look, svg_text(series.labels[i]));
    }
}

/// Names beside lines of their colours, right of the plot.
void draw_legend(Canvas& canvas, const Chart& chart, const std::vector<Look>& looks) {
  const double left = kMarginLeft + canvas.width() + 10.0;
  double y = kMarginTop + 14.0;
  for (size_t i = 0; i < chart.series.size(); ++i) {
    const Series& series = chart.series[i];
    if (series.name.empty()) continue;
    if (series.line)
      canvas.add(
          R"(<line x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}" stroke="{}" stroke-width="1.8"{}/>)",
          left, left + 24.0, y - 4.0, y - 4.0, looks[i].color, dashes_of(series));
    else
      draw_point(canvas, left + 12.0, y - 4.0, 2.8, looks[i]);
    canvas.add(R"(<text x="{:.1f}" y="{:.1f}">{}</text>)", left + 30.0, y, svg_text(series.name));
    y += 17.0;
  }
}

}  // namespace

std::vector<double> axis_ticks(double low, double high) {
  const double rough = (high - low) / 5.0;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10.0 * power;
  for (const double digit : {5.0, 2.0, 1.0})
    if (digit * power >= rough) step = digit * power;
  std::vector<double> ticks;
  for (double k = std::ceil(low / step); k * step <= high + 1e-9 * step; k += 1.0)
    ticks.push_back(k == 0.0 ? 0.0 : k * step);
  return ticks;
}

std::string Chart::svg() const {
  Range x, y;
  const std::vector<Series> drawn = y_log ? in_decades(series) : series;
  for (const Series& s : drawn) {
    expect(s.x.size() == s.y.size() && (s.error.empty() || s.error.size() == s.x.size()) &&
               (s.labels.empty() || s.labels.size() == s.x.size()),
           "Chart: '{}' has lists of different lengths", s.name);
    for (size_t i = 0; i < s.x.size(); ++i) {
      if (!std::isfinite(s.x[i]) || !std::isfinite(s.y[i])) continue;
      const double error = s.error.empty() ? 0.0 : s.error[i];
      x.take(s.x[i]);
      y.take(s.y[i] - error);
      y.take(s.y[i] + error);
    }
  }
  expect(x.low <= x.high, "Chart: '{}' has no finite point", title);
  if (x_names.empty())
    x.settle(x_low, x_high);
  else
    x.settle(-0.5, static_cast<double>(x_names.size()) - 0.5);
  y.settle(y_low, y_high);
  Canvas canvas(*this, x, y);
  draw_axes(canvas, *this);
  const std::vector<Look> looks = looks_of(series);
  for (size_t i = 0; i < series.size(); ++i) draw_series(canvas, drawn[i], looks[i]);
  draw_labels(canvas, drawn);
  draw_legend(canvas, *this, looks);
  return svg_picture(width, height, canvas.take());
}

}  // namespace pal
