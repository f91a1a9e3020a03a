#include "experiments/explain/class_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "data/pictures/picture_sheet.h"
#include "experiments/explain/class_geometry.h"
#include "experiments/explain/color_map.h"
#include "experiments/explain/dct_influence.h"
#include "experiments/explain/doubles.h"
#include "experiments/explain/explained_images.h"
#include "experiments/measures/class_match.h"
#include "experiments/measures/sampling.h"
#include "experiments/report/chart.h"
#include "experiments/report/matrix_chart.h"
#include "experiments/report/text_table.h"
#include "kernels/resample/dct.h"
#include "runtime/error.h"

namespace pal {
namespace {

/// Half of an ellipse around (x, 0), above the line.
Series ellipse(double x, const DecisionPoint& half, const std::string& name) {
  constexpr int kPoints = 61;
  Series series{.name = name};
  for (int i = 0; i < kPoints; ++i) {
    const double angle = M_PI * i / (kPoints - 1);
    series.x.push_back(x + half.along * std::cos(angle));
    series.y.push_back(half.beside * std::sin(angle));
  }
  return series;
}

/// In which of the ellipses around the two likeliest classes an image lies.
std::string place_text(const DecisionSpace& space, const DecisionPoint& image,
                       const std::string& first, const std::string& second) {
  const DecisionPoint half = space.half_axes();
  const auto is_within = [&](size_t i) {
    return std::hypot((image.along - space.mean(i).along) / half.along,
                      image.beside / half.beside) <= 1.0;
  };
  const bool in_first = is_within(0), in_second = is_within(1);
  if (in_first && in_second)
    return fmt::format("The image lies where {} and {} overlap: it could be either.", first,
                       second);
  if (in_first || in_second)
    return fmt::format("The image lies where nine in ten images of {} do, and outside of {}.",
                       in_first ? first : second, in_first ? second : first);
  return fmt::format("The image lies outside of both {} and {}: it is an unusual one of either.",
                     first, second);
}

/// A picture in RGB in a thin frame with white around it.
Image framed(const Image& picture) {
  constexpr int64_t kWhite = 3, kEdge = kWhite + 1;
  Image out{picture.width + 2 * kEdge, picture.height + 2 * kEdge, 3, {}, {}};
  out.pixels.assign(static_cast<size_t>(3 * out.width * out.height), 255);
  for (int64_t y = kWhite; y < out.height - kWhite; ++y)
    for (int64_t x = kWhite; x < out.width - kWhite; ++x)
      for (int64_t c = 0; c < 3; ++c) {
        const int64_t i = y - kEdge, j = x - kEdge;
        const bool inside = std::min(i, j) >= 0 && i < picture.height && j < picture.width;
        out.pixels[static_cast<size_t>(3 * (y * out.width + x) + c)] =
            inside ? picture.pixels[static_cast<size_t>(3 * (i * picture.width + j) + c)] : 140;
      }
  return out;
}

/// The orthonormal components of the DCT of N x N maps, one picture each.
Image basis_picture(int64_t side) {
  const std::vector<double> basis = dct_inverse_matrix(side, {DctMap::Flavour::orthonormal, 0.5});
  constexpr int64_t kPixels = 42;
  const ColorScale colors{-2.0 / static_cast<double>(side), 2.0 / static_cast<double>(side), true};
  PictureSheet sheet;
  sheet.headline = "DCT components by frequency; red: above 0, blue: below";
  for (int64_t kh = 0; kh < side; ++kh) {
    SheetRow row{fmt::format("{}", kh), {}, {}};
    for (int64_t kw = 0; kw < side; ++kw) {
      Image component{side, side, 3, {}, {}};
      for (int64_t i = 0; i < side; ++i)
        for (int64_t j = 0; j < side; ++j)
          for (const uint8_t level : colors.color(basis[static_cast<size_t>(i * side + kh)] *
                                                  basis[static_cast<size_t>(j * side + kw)]))
            component.pixels.push_back(level);
      row.pictures.push_back(framed(enlarged(component, std::max<int64_t>(1, kPixels / side))));
      row.captions.push_back(kh == 0 ? std::to_string(kw) : "");
    }
    sheet.rows.push_back(std::move(row));
  }
  return sheet_image(sheet);
}

}  // namespace

Figure similarity_figure(const ExplainOptions& o, const LoadedModel& loaded) {
  const IbInn& flow = flow_of(loaded, o.checkpoint);
  const auto names = model_class_names(loaded.input, flow.config().classes);
  const auto all = static_cast<int64_t>(names.size());
  expect(all >= 2, "similarity: needs at least 2 classes, and {} has {}", o.checkpoint, all);
  const std::vector<double> distances = class_distances(flow.head());
  const auto distance = [&](int64_t a, int64_t b) {
    return distances[static_cast<size_t>(a * all + b)];
  };
  std::vector<int64_t> classes = named_classes(loaded, o.classes, "--class");
  expect(classes.size() >= 2, "--class: similarity compares at least 2 classes, got {}",
         classes.size());
  if (o.by_dendrogram) {
    std::vector<double> own;
    for (const int64_t a : classes)
      for (const int64_t b : classes) own.push_back(distance(a, b));
    std::vector<int64_t> ordered;
    for (const int64_t i : dendrogram_order(own, static_cast<int64_t>(classes.size())))
      ordered.push_back(classes[static_cast<size_t>(i)]);
    classes = ordered;
  }
  Figure figure;
  figure.csv = "class_a,class_b,distance,uncertainty\n";
  struct Pair {
    int64_t a, b;
  };
  std::vector<Pair> pairs;
  for (int64_t a = 0; a < all; ++a)
    for (int64_t b = a + 1; b < all; ++b) {
      pairs.push_back({a, b});
      fmt::format_to(std::back_inserter(figure.csv), "{},{},{:.9g},{:.9g}\n",
                     csv_field(names[static_cast<size_t>(a)]),
                     csv_field(names[static_cast<size_t>(b)]), distance(a, b),
                     expected_uncertainty(distance(a, b)));
    }
  MatrixChart chart;
  chart.title = "Expected uncertainty between two classes, %";
  chart.unit = "uncertainty, %";
  for (const int64_t a : classes) {
    chart.rows.push_back(names[static_cast<size_t>(a)]);
    for (const int64_t b : classes)
      chart.values.push_back(a == b ? std::nan("") : 100.0 * expected_uncertainty(distance(a, b)));
  }
  chart.columns = chart.rows;
  figure.svg = chart.svg();
  std::ranges::stable_sort(
      pairs, [&](const Pair& p, const Pair& q) { return distance(p.a, p.b) < distance(q.a, q.b); });
  const auto shown = std::min<size_t>(static_cast<size_t>(o.pairs), pairs.size());
  for (const bool alike : {true, false}) {
    TextTable table({alike ? "most alike" : "most unlike", "", "distance", "uncertainty, %"});
    for (size_t i = 0; i < shown; ++i) {
      const Pair& pair = alike ? pairs[i] : pairs[pairs.size() - 1 - i];
      table.add({names[static_cast<size_t>(pair.a)], names[static_cast<size_t>(pair.b)],
                 fmt::format("{:.3f}", distance(pair.a, pair.b)),
                 fmt::format("{:.3g}", 100.0 * expected_uncertainty(distance(pair.a, pair.b)))});
    }
    figure.lines.push_back(table.text());
  }
  return figure;
}

Figure decision_figure(const ExplainOptions& o, const LoadedModel& loaded) {
  IbInn& flow = flow_of(loaded, o.checkpoint);
  const auto names = model_class_names(loaded.input, flow.config().classes);
  expect(names.size() >= 2, "decision: needs at least 2 classes, and {} has {}", o.checkpoint,
         names.size());
  const TestImages from = open_test_images(o.data, o.checkpoint, loaded);
  const std::vector<int64_t> indices = explained_indices(o, from);
  expect(indices.size() == 1, "decision: one image at a time, got {}; name it with --images",
         indices.size());
  const Tensor images = network_images(*from.set, loaded.input, indices, from.transform);
  const Tensor z = encode(flow, images);
  const Tensor scores = flow.head().scores(z.to(flow.device(), Tag::data)).to(Device());
  std::vector<int64_t> classes(names.size());
  std::iota(classes.begin(), classes.end(), int64_t{0});
  std::ranges::stable_sort(classes, [&](int64_t a, int64_t b) {
    return scores.data<float>()[a] > scores.data<float>()[b];
  });
  constexpr size_t kClasses = 5;
  classes.resize(std::min(kClasses, classes.size()));
  const DecisionSpace space(flow.head(), classes, o.affine);
  const std::vector<double> latent = to_doubles(z);
  const DecisionPoint image = space.project(latent.data());
  const DecisionPoint half = space.half_axes();
  const auto name = [&](size_t i) { return names[static_cast<size_t>(classes[i])]; };
  Figure figure;
  figure.csv = "what,along,beside\n";
  Chart chart;
  chart.title = fmt::format("Image {} among the means of its {} likeliest classes", indices[0],
                            classes.size());
  chart.x_title = fmt::format("along the line from {} to {}", name(0), name(1));
  chart.y_title = "distance from that line";
  chart.width = 640;
  chart.height = 330;
  // The ellipses look like circles, as the axes have different numbers of dimensions.
  chart.y_per_x = half.beside / half.along;
  chart.y_high = 1.25 * half.beside;
  for (size_t i = 0; i < classes.size(); ++i)
    chart.y_high = std::max(chart.y_high, 1.15 * space.mean(i).beside);
  chart.y_high = std::max(chart.y_high, 1.15 * image.beside);
  Series means{.name = "class means", .line = false};
  for (size_t i = 0; i < classes.size(); ++i) {
    const DecisionPoint mean = space.mean(i);
    means.x.push_back(mean.along);
    means.y.push_back(mean.beside);
    means.labels.push_back(name(i));
    fmt::format_to(std::back_inserter(figure.csv), "{},{:.9g},{:.9g}\n", csv_field(name(i)),
                   mean.along, mean.beside);
  }
  fmt::format_to(std::back_inserter(figure.csv), "image,{:.9g},{:.9g}\n", image.along,
                 image.beside);
  chart.series.push_back(std::move(means));
  chart.series.push_back({.name = "the image",
                          .x = {image.along},
                          .y = {image.beside},
                          .labels = {"image"},
                          .line = false});
  chart.series.push_back(ellipse(0.0, half, "90 % of " + name(0)));
  chart.series.push_back(ellipse(space.mean(1).along, half, "90 % of " + name(1)));
  figure.svg = chart.svg();
  TextTable table({"", "along", "beside"});
  for (size_t i = 0; i < classes.size(); ++i)
    table.add({name(i), fmt::format("{:.2f}", space.mean(i).along),
               fmt::format("{:.2f}", space.mean(i).beside)});
  table.add({"the image", fmt::format("{:.2f}", image.along), fmt::format("{:.2f}", image.beside)});
  figure.lines.push_back(table.text());
  figure.lines.push_back(place_text(space, image, name(0), name(1)));
  return figure;
}

Figure dct_figure(const ExplainOptions& o, const LoadedModel& loaded) {
  IbInn& flow = flow_of(loaded, o.checkpoint);
  const DctInfluence influence(flow.head());
  const int64_t side = influence.side();
  Figure figure;
  figure.csv = "vertical,horizontal,influence\n";
  MatrixChart chart;
  chart.title = "How much each DCT component tells the classes apart";
  chart.unit = "mean deviation of the class means";
  chart.digits = 3;
  for (int64_t k = 0; k < side; ++k) {
    chart.rows.push_back(fmt::format("vertical {}", k));
    chart.columns.push_back(fmt::format("horizontal {}", k));
  }
  for (int64_t kh = 0; kh < side; ++kh)
    for (int64_t kw = 0; kw < side; ++kw) {
      chart.values.push_back(influence.of(kh, kw));
      fmt::format_to(std::back_inserter(figure.csv), "{},{},{:.9g}\n", kh, kw,
                     influence.of(kh, kw));
    }
  figure.svg = chart.svg();
  figure.picture = basis_picture(side);
  const TestImages from = open_test_images(o.data, o.checkpoint, loaded);
  const ClassMatch match = match_classes(loaded, o.checkpoint, from.set->info(), false);
  const std::vector<int64_t> indices = explained_indices(o, from);
  std::vector<int32_t> labels;
  for (const int64_t i : indices)
    labels.push_back(static_cast<int32_t>(match.model_class(from.set->label(i))));
  std::vector<int64_t> kept;
  for (int64_t k = 1; k < side * side; k *= 2) kept.push_back(k);
  kept.push_back(side * side);
  std::vector<int64_t> right(kept.size());
  encode_in_parts(flow, loaded.input, from, indices, [&](int64_t first, const Tensor& z) {
    const auto begin = labels.begin() + first;
    const auto found = influence.count_right(z, {begin, begin + z.size(0)}, kept);
    for (size_t k = 0; k < kept.size(); ++k) right[k] += found[k];
  });
  TextTable table({fmt::format("components, of {}", side * side), "top-1 %, of them alone"});
  for (size_t k = 0; k < kept.size(); ++k)
    table.add(
        {std::to_string(kept[k]), fmt::format("{:.2f}", 100.0 * static_cast<double>(right[k]) /
                                                            static_cast<double>(indices.size()))});
  figure.lines.push_back(table.text());
  return figure;
}

}  // namespace pal
