#include "experiments/explain/check_report.h"

#include <fmt/format.h>

#include <iterator>

#include "experiments/report/chart.h"
#include "experiments/report/text_table.h"
#include "runtime/json.h"

namespace pal {
namespace {

using Json = nlohmann::ordered_json;

std::string curve_name(const FillCurve& curve) {
  return fmt::format("{}, {}", curve.insertion ? "given back" : "filled", name_of(curve.order));
}

}  // namespace

std::string to_text(const Faithfulness& found) {
  TextTable left({fmt::format("left of the log-odds, {} of {} cells of {} x {} filled",
                              found.filled, found.side * found.side, found.cell, found.cell),
                  "zero", "mean", "blur"});
  for (const CellOrder order : kCellOrders) {
    std::vector<std::string> row = {name_of(order)};
    for (const auto& each : found.left)
      if (each.order == order) row.push_back(fmt::format("{:.2f}", each.share));
    left.add(row);
  }
  TextTable controls({"rank correlation with the maps of", "mean", "+-"});
  for (const auto& control : found.controls)
    controls.add({control.what, fmt::format("{:.3f}", control.correlation),
                  fmt::format("{:.3f}", control.error)});
  return fmt::format(
      "{} images, mean log-odds of the predicted class against the next {:.3f} nats"
      "\n\n{}\n\n{}",
      found.images, found.before, left.text(), controls.text());
}

std::string to_json(const Faithfulness& found) {
  Json json = {{"images", found.images},
               {"side", found.side},
               {"cell", found.cell},
               {"filled", found.filled},
               {"log_odds", found.before}};
  for (const auto& each : found.left)
    json["left"].push_back(
        {{"fill", name_of(each.fill)}, {"order", name_of(each.order)}, {"share", each.share}});
  for (const auto& control : found.controls)
    json["controls"].push_back({{"with", control.what},
                                {"correlation", control.correlation},
                                {"standard_error", control.error}});
  return json_text(json);
}

std::string to_csv(const Faithfulness& found) {
  std::string csv = "order,insertion,cells,log_odds\n";
  for (const FillCurve& curve : found.curves)
    for (size_t k = 0; k < curve.odds.size(); ++k)
      fmt::format_to(std::back_inserter(csv), "{},{},{},{:.9g}\n", name_of(curve.order),
                     curve.insertion, k, curve.odds[k]);
  return csv;
}

std::string to_svg(const Faithfulness& found, Fill fill) {
  Chart chart;
  chart.title = fmt::format("Cells filled in the order of their evidence ({}), {} images",
                            name_of(fill), found.images);
  chart.x_title = fmt::format("cells of {} x {} pixels", found.cell, found.cell);
  chart.y_title = "mean log-odds of the prediction, nats";
  chart.width = 860;
  chart.height = 440;
  for (const FillCurve& curve : found.curves) {
    Series series;
    series.name = curve_name(curve);
    series.dashed = curve.insertion;
    series.y = curve.odds;
    for (size_t k = 0; k < curve.odds.size(); ++k) series.x.push_back(static_cast<double>(k));
    chart.series.push_back(std::move(series));
  }
  return chart.svg();
}

}  // namespace pal
