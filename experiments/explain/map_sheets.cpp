#include "experiments/explain/map_sheets.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <numeric>

#include "experiments/explain/color_map.h"
#include "experiments/measures/class_match.h"
#include "experiments/report/text_table.h"
#include "experiments/trust/array_metadata.h"
#include "layers/checkpoint/stored_values.h"
#include "runtime/error.h"
#include "runtime/json.h"
#include "runtime/text.h"

namespace pal {
namespace {

constexpr size_t kShown = 3;
constexpr int64_t kPixels = 140;  // of a picture on the sheet

int64_t scale_of_pictures(const ExplainOptions& o, const Image& picture) {
  if (o.scale > 0) return o.scale;
  return std::max<int64_t>(1, kPixels / std::max(picture.width, picture.height));
}

int64_t side_of(int64_t positions) {
  return std::llround(std::sqrt(static_cast<double>(positions)));
}

std::string row_title(const ExplainedImage& image, const std::vector<std::string>& names) {
  return fmt::format("image {}, labelled {}", image.index, names[static_cast<size_t>(image.label)]);
}

void add_map(MapSheet& made, const ExplainedImage& image, const std::string& what,
             const std::vector<double>& map) {
  made.maps.push_back({image.index, image.name, what, map});
}

double sum_of(const std::vector<double>& map) {
  return std::accumulate(map.begin(), map.end(), 0.0);
}

MapSheet empty_sheet(const std::string& headline) {
  MapSheet made;
  made.sheet.headline = headline;
  return made;
}

}  // namespace

std::string maps_csv(const MapSheet& made) {
  std::string csv = "image,name,map,row,column,nats\n";
  for (const NamedMap& map : made.maps) {
    const auto positions = static_cast<int64_t>(map.values.size());
    const int64_t side = side_of(positions);
    for (int64_t p = 0; p < positions; ++p)
      fmt::format_to(std::back_inserter(csv), "{},{},{},{},{},{:.9g}\n", map.image,
                     csv_field(map.name), csv_field(map.what), p / side, p % side,
                     map.values[static_cast<size_t>(p)]);
  }
  return csv;
}

void write_map_arrays(const std::string& path, const MapSheet& made,
                      const std::string& model_digest) {
  const auto count = static_cast<int64_t>(made.maps.size());
  const int64_t positions = made.maps.empty() ? 0 : std::ssize(made.maps[0].values);
  const int64_t side = side_of(positions);
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  std::vector<double> values;
  std::vector<int64_t> images;
  for (const NamedMap& map : made.maps) {
    rows.push_back({{"image", map.image}, {"name", map.name}, {"map", map.what}});
    values.insert(values.end(), map.values.begin(), map.values.end());
    images.push_back(map.image);
  }
  auto metadata = array_metadata("maps", model_digest, "see rows",
                                 {{"image", "[maps]", "", "number of the image"},
                                  {"maps", "[maps, rows, columns]", "nats",
                                   "what each position of the last feature map says"}});
  metadata["rows"] = json_text(rows, -1, BadUtf8::replaced);
  write_safetensors(path, metadata,
                    std::vector<StoredTensor>{stored_values("image", images),
                                              stored_values("maps", values, {count, side, side})});
}

MapSheet heatmap_sheet(const ExplainOptions& o, const LoadedModel& loaded,
                       const std::vector<ExplainedImage>& images) {
  const auto names = model_class_names(loaded.input, loaded.model->config().classes);
  std::vector<int32_t> chosen;
  for (const std::string& text : o.classes)
    chosen.push_back(static_cast<int32_t>(named_class(loaded, text, "--class")));
  MapSheet made = empty_sheet(
      "Where the answer comes from: red places speak for a class, blue ones against it; a map sums "
      "to ln q(class | image)");
  for (const ExplainedImage& image : images) {
    std::vector<int32_t> classes = chosen;
    if (classes.empty())
      classes.assign(image.maps.order().begin(),
                     image.maps.order().begin() +
                         static_cast<std::ptrdiff_t>(std::min(kShown, image.maps.order().size())));
    const int64_t scale = scale_of_pictures(o, image.picture);
    const int64_t side = side_of(image.maps.positions());
    SheetRow row{
        row_title(image, names), {"image", "unusual (saliency)"}, {enlarged(image.picture, scale)}};
    row.pictures.push_back(overlay(image.picture, image.maps.saliency(), side,
                                   scale_of({image.maps.saliency()}, false), scale));
    add_map(made, image, "saliency", image.maps.saliency());
    std::vector<std::vector<double>> maps;
    for (const int32_t y : classes) maps.push_back(image.maps.posterior(y));
    const ColorScale colors = scale_of(maps, true);
    row.notes = {"", fmt::format("sum {:.1f}", sum_of(image.maps.saliency()))};
    for (size_t i = 0; i < classes.size(); ++i) {
      const auto y = static_cast<size_t>(classes[i]);
      row.pictures.push_back(overlay(image.picture, maps[i], side, colors, scale));
      row.captions.push_back(
          fmt::format("{} {:.1f} %", names[y], 100.0 * std::exp(image.maps.log_posterior()[y])));
      row.notes.push_back(fmt::format("sum {:.3g}", sum_of(maps[i])));
      add_map(made, image, names[y], maps[i]);
    }
    row.captions.emplace_back("nats");
    row.pictures.push_back(
        color_bar(colors, "per position", row.pictures[0].width, row.pictures[0].height));
    made.sheet.rows.push_back(std::move(row));
  }
  return made;
}

MapSheet evidence_sheet(const ExplainOptions& o, const LoadedModel& loaded,
                        const std::vector<ExplainedImage>& images) {
  const auto names = model_class_names(loaded.input, loaded.model->config().classes);
  expect(names.size() >= 2, "evidence: needs at least 2 classes, and {} has {}", o.checkpoint,
         names.size());
  const bool against_label = o.evidence_against == "label";
  const auto class_for = [&](const std::string& text, const char* option, int32_t otherwise) {
    return text.empty() ? otherwise : static_cast<int32_t>(named_class(loaded, text, option));
  };
  MapSheet made = empty_sheet(
      "Evidence: red speaks for the first class, blue for the second; it sums to the "
      "log-odds");
  TextTable table({"image", "label", "for", "against", "log-odds, nats", "odds"});
  for (const ExplainedImage& image : images) {
    const auto& order = image.maps.order();
    const int32_t a = class_for(o.evidence_for, "--for", order[0]);
    int32_t b = a == order[0] ? order[1] : order[0];
    if (against_label && image.label != a)
      b = image.label;
    else if (!against_label)
      b = class_for(o.evidence_against, "--against", b);
    expect(a != b, "--for, --against: both are {}", names[static_cast<size_t>(a)]);
    const std::vector<double> map = image.maps.evidence(a, b);
    const double odds = sum_of(map);
    const int64_t scale = scale_of_pictures(o, image.picture);
    const ColorScale colors = scale_of({map}, true);
    const std::string& first = names[static_cast<size_t>(a)];
    const std::string& second = names[static_cast<size_t>(b)];
    SheetRow row{row_title(image, names),
                 {"image", fmt::format("{} / {}", first, second), "nats"},
                 {enlarged(image.picture, scale)}};
    row.pictures.push_back(
        overlay(image.picture, map, side_of(image.maps.positions()), colors, scale));
    row.pictures.push_back(color_bar(colors, fmt::format("sum {:.3g}", odds), row.pictures[0].width,
                                     row.pictures[0].height));
    made.sheet.rows.push_back(std::move(row));
    add_map(made, image, first + " / " + second, map);
    table.add({std::to_string(image.index), names[static_cast<size_t>(image.label)], first, second,
               fmt::format("{:.2f}", odds), fmt::format("{:.3g}", std::exp(odds))});
  }
  made.lines.push_back(table.text());
  return made;
}

}  // namespace pal
