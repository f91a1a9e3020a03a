#include "experiments/explain/receptive_field_figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "data/pictures/picture_sheet.h"
#include "experiments/explain/color_map.h"
#include "experiments/explain/receptive_field.h"
#include "experiments/measures/sampling.h"
#include "experiments/report/chart.h"
#include "experiments/report/job_clock.h"
#include "experiments/report/run_log.h"
#include "experiments/report/text_table.h"

namespace pal {
namespace {

/// Decades that the picture shows below the maximum.
constexpr double kDecades = 3.0;

/// The field in colours of its logarithm, beside their bar.
Image field_picture(const ReceptiveField& field) {
  const double peak = *std::ranges::max_element(field.sensitivity);
  std::vector<double> decades;
  for (const double s : field.sensitivity)
    decades.push_back(s > 0.0 && peak > 0.0 ? std::max(-kDecades, std::log10(s / peak))
                                            : -kDecades);
  const ColorScale colors{-kDecades, 0.0, false};
  constexpr int64_t kFieldPixels = 196;
  const int64_t scale = std::max<int64_t>(1, kFieldPixels / field.side);
  Image map{field.side, field.side, 3, {}, {}};
  for (const double value : decades)
    for (const uint8_t level : colors.color(value)) map.pixels.push_back(level);
  PictureSheet sheet;
  sheet.headline = "Which pixels the centre depends on";
  SheetRow row{"", {"the image", "0 is the most"}, {enlarged(map, scale)}};
  row.pictures.push_back(color_bar(colors, "log10", row.pictures[0].width, row.pictures[0].height));
  sheet.rows.push_back(std::move(row));
  return sheet_image(sheet);
}

}  // namespace

Figure receptive_field_figure(const ExplainOptions& o, const LoadedModel& loaded) {
  const TestImages from = open_test_images(o.data, o.checkpoint, loaded);
  const Tensor images =
      network_images(*from.set, loaded.input, explained_indices(o, from), from.transform)
          .to(loaded.model->device(), Tag::data);
  ProgressLine line(ProgressMode::automatic, o.run.quiet);
  const JobClock clock;
  const ReceptiveField field = receptive_field(
      *loaded.model, images, {o.channels, o.run.seed, [&](int64_t done, int64_t count) {
                                line.show(clock.text("receptive field", done, count, "passes"));
                              }});
  line.clear();
  const CrossSection section = cross_section(field);
  const double width = full_width_at_half_maximum(section);
  Figure figure;
  figure.csv = "row,column,sensitivity\n";
  int64_t reached = 0;
  for (int64_t row = 0; row < field.side; ++row)
    for (int64_t column = 0; column < field.side; ++column) {
      const double s = field.sensitivity[static_cast<size_t>(row * field.side + column)];
      fmt::format_to(std::back_inserter(figure.csv), "{},{},{:.9g}\n", row, column, s);
      if (s > 0.0) ++reached;
    }
  const std::string width_text =
      std::isnan(width) ? "wider than the image" : fmt::format("{:.1f} pixels", width);
  Chart chart;
  chart.title = fmt::format("Effective receptive field: {} wide at half its maximum", width_text);
  chart.x_title = "pixels from the maximum";
  chart.y_title = "sensitivity (by powers of ten)";
  chart.y_log = true;
  chart.width = 720;
  chart.series.push_back(
      {.name = "mean of row and column", .x = section.offset, .y = section.sensitivity});
  const double half = 0.5 * *std::ranges::max_element(section.sensitivity);
  chart.series.push_back({.name = "half of the maximum",
                          .x = {section.offset.front(), section.offset.back()},
                          .y = {half, half},
                          .dashed = true,
                          .points = false});
  figure.svg = chart.svg();
  figure.picture = field_picture(field);
  TextTable table({"", ""});
  table.add({"images", grouped(images.size(0))});
  table.add({"features", fmt::format("{} of {}", field.channels, field.features)});
  table.add({"feature map", fmt::format("{} x {}, at {}, {}", field.map, field.map, field.map / 2,
                                        field.map / 2)});
  table.add({"full width at half maximum", width_text});
  table.add(
      {"pixels that matter at all", fmt::format("{} of {}", reached, field.side * field.side)});
  figure.lines.push_back(table.text());
  return figure;
}

}  // namespace pal
