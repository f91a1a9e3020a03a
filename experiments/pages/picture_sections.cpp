#include "experiments/pages/picture_sections.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "experiments/explain/class_figures.h"
#include "experiments/explain/class_geometry.h"
#include "experiments/explain/explained_images.h"
#include "experiments/explain/faithfulness.h"
#include "experiments/explain/map_sheets.h"
#include "experiments/measures/class_match.h"
#include "experiments/pages/answer_sections.h"
#include "experiments/pages/page_table.h"
#include "experiments/sampling/sample_sheets.h"
#include "experiments/sampling/test_images.h"
#include "runtime/error.h"

namespace pal {
namespace {

/// Examples of either kind.
constexpr size_t kExamples = 4;
/// Classes whose samples are shown.
constexpr size_t kSampledClasses = 10;
constexpr int64_t kSamplesEach = 8;
constexpr int64_t kRealImages = 3;
/// With so many classes the matrix of their similarities is still read.
constexpr int64_t kSimilarClasses = 60;
constexpr size_t kAlikePairs = 10;

ExplainOptions explain_options(const ShownModel& run, const std::vector<int64_t>& images) {
  ExplainOptions options;
  options.checkpoint = run.checkpoint;
  options.data = run.data;
  options.run = run.run;
  for (const int64_t i : images) options.images.push_back(std::to_string(i));
  return options;
}

std::string maps_of(const PicturedRun& run, const std::vector<int64_t>& images, bool right) {
  if (images.empty())
    return html_paragraph(right ? "It is right about none of them."
                                : "It is wrong about none of them.");
  ExplainOptions options = explain_options(run, images);
  if (!right) options.evidence_against = "label";
  const char* const whose = right ? "that it is right about" : "that it is surest of and wrong";
  const auto explained = explain_images(options, run.loaded);
  return html_picture(
             sheet_image(evidence_sheet(options, run.loaded, explained).sheet),
             fmt::format("Evidence for a class against another, for images {}", whose),
             right
                 ? "Images that it is right about. Red places speak for its answer, blue ones for "
                   "the next likely class."
                 : "Images that it is surest of and wrong. Red places speak for its answer, blue "
                   "ones for the label's class. A label may be the one that errs.") +
         html_picture(sheet_image(heatmap_sheet(options, run.loaded, explained).sheet),
                      fmt::format("Maps of the likeliest classes, for images {}", whose),
                      "The same images. Second picture: how unusual each place is (yellow: more). "
                      "Then what each place says for a class (red) or against it (blue); the sum "
                      "is the logarithm of the class's probability. What is alike in all classes "
                      "tells nothing of the answer.");
}

/// Test images of each sampled class that stand beside its samples: as many as all of them have, at
/// most `most`.
int64_t real_images(const ShownModel& run, size_t classes, int64_t most) {
  if (most == 0) return 0;
  const TestImages from = open_test_images(run.data, run.checkpoint, run.loaded);
  const ClassMatch match = match_classes(run.loaded, run.checkpoint, from.set->info(), false);
  std::vector<int64_t> counts(classes);
  const std::vector<int64_t> all =
      from.indices.empty() ? all_images(from.set->info()) : from.indices;
  for (const int64_t i : all)
    if (const auto y = static_cast<size_t>(match.model_class(from.set->label(i))); y < classes)
      ++counts[y];
  return std::min(most, *std::ranges::min_element(counts));
}

/// Where samples are drawn: where training images lie, if they are to be had and enough.
std::vector<ClassSpread> spreads_of(SampleOptions& options, const ShownModel& run,
                                    const std::vector<int64_t>& classes) {
  try {
    return sample_spreads(options, run.loaded, classes);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage && error.kind() != ErrorKind::data) throw;
    options.around = SampleCentre::means;
    return sample_spreads(options, run.loaded, classes);
  }
}

}  // namespace

Examples examples_of(const std::vector<ImageResult>& results, size_t each) {
  std::vector<const ImageResult*> order;
  for (const ImageResult& r : results) order.push_back(&r);
  std::ranges::stable_sort(order, [](const ImageResult* a, const ImageResult* b) {
    return a->confidence > b->confidence;
  });
  Examples examples;
  std::set<int32_t> seen;
  for (const ImageResult* r : order) {
    if (r->rank > 0) {
      if (examples.wrong.size() < each) examples.wrong.push_back(r->index);
    } else if (examples.right.size() < each && seen.insert(r->label).second) {
      examples.right.push_back(r->index);
    }
  }
  return examples;
}

Image samples_picture(const ShownModel& model, int64_t each, int64_t real) {
  SampleOptions options;
  options.checkpoint = model.checkpoint;
  options.data = model.data;
  options.run = model.run;
  options.count = each;
  options.temperatures = {kSampleTemperature};
  const auto names = model_class_names(model.loaded.input, model.loaded.model->config().classes);
  for (size_t y = 0; y < std::min(kSampledClasses, names.size()); ++y)
    options.classes.push_back(std::to_string(y));
  options.real = real_images(model, options.classes.size(), real);
  const auto classes = sampled_classes(options, model.loaded);
  const auto spreads = spreads_of(options, model, classes);
  return sheet_image(make_sample_sheet(options, model.loaded, spreads).sheet);
}

HtmlSection samples_section(const PicturedRun& run) {
  return {"samples", "What it imagines",
          fmt::format("Right: new pictures, decoded from points drawn where the training images of "
                      "each class lie, {} times as far spread (temperature {}); they should look "
                      "like the real ones on the left.",
                      kSampleTemperature, kSampleTemperature),
          html_picture(samples_picture(run, kSamplesEach, kRealImages),
                       "Sheet of samples of classes beside real images")};
}

HtmlSection evidence_section(const PicturedRun& run) {
  const Examples examples = examples_of(run.report.clean.images, kExamples);
  return {"evidence", "Why does it say so?",
          "Each place of an image contributes to the answer, and the contributions add up to it "
          "exactly: they should lie on the object, where a person would look.",
          maps_of(run, examples.right, true) + maps_of(run, examples.wrong, false)};
}

HtmlSection decision_section(const PicturedRun& run) {
  const Examples examples = examples_of(run.report.clean.images, 1);
  const auto names = model_class_names(run.loaded.input, run.loaded.model->config().classes);
  std::string body;
  for (const bool right : {true, false}) {
    const auto& images = right ? examples.right : examples.wrong;
    if (images.empty()) continue;
    const ImageResult& result =
        *std::ranges::find(run.report.clean.images, images[0], &ImageResult::index);
    const Figure figure = decision_figure(explain_options(run, images), run.loaded);
    body += html_drawing(
        figure.svg,
        fmt::format("An image among the means of its likeliest classes, {}",
                    right ? "a right answer" : "a wrong answer"),
        fmt::format("Labelled {}; the model says {} ({:.1f} %): {}. {}",
                    names[static_cast<size_t>(result.label)],
                    names[static_cast<size_t>(result.predicted)], 100.0 * result.confidence,
                    right ? "right" : "wrong, if the label is right", figure.lines.back()));
  }
  return {
      "decision", "How close was it?",
      "Each half circle reaches as far from its class as nine in ten of the class's images "
      "should, along the line and, in more dimensions, away from it; an image between two could "
      "be either, one far from all is unlike what was learned, however sure the answer: sure "
      "only means that the other classes are further away.",
      body};
}

HtmlSection similarity_section(const PicturedRun& run) {
  const auto classes = run.loaded.model->config().classes;
  const auto names = model_class_names(run.loaded.input, classes);
  const std::vector<double> distances = class_distances(flow_of(run.loaded, run.checkpoint).head());
  std::string body;
  if (classes <= kSimilarClasses)
    body = html_drawing(similarity_figure(explain_options(run, {}), run.loaded).svg,
                        "Matrix of the uncertainty to expect between two classes");
  // Pairs in one order of their classes, by how many images were taken for the other.
  struct Pair {
    int64_t a, b;
    double uncertainty;
    int64_t confused = 0;
  };
  std::vector<Pair> pairs;
  for (int64_t a = 0; a < classes; ++a)
    for (int64_t b = a + 1; b < classes; ++b)
      pairs.push_back(
          {a, b, expected_uncertainty(distances[static_cast<size_t>(a * classes + b)])});
  std::map<std::pair<int64_t, int64_t>, int64_t> confused;
  for (const Confusion& each : confusions(run.report.clean.images))
    confused[std::minmax<int64_t>(each.label, each.predicted)] += each.images;
  std::map<int64_t, int64_t> images;
  for (const ImageResult& result : run.report.clean.images) ++images[result.label];
  for (Pair& pair : pairs)
    if (const auto found = confused.find({pair.a, pair.b}); found != confused.end())
      pair.confused = found->second;
  std::vector<double> expected, measured;
  for (const Pair& pair : pairs) {
    expected.push_back(pair.uncertainty);
    measured.push_back(static_cast<double>(pair.confused));
  }
  const bool any = std::ranges::any_of(measured, [](double count) { return count > 0.0; });
  std::ranges::stable_sort(pairs, std::ranges::greater(), &Pair::uncertainty);
  PageTable table;
  table.header = {"most alike by their means", "", "expected, %", "taken for each other, %"};
  table.left = 2;
  for (size_t i = 0; i < std::min(kAlikePairs, pairs.size()); ++i) {
    const Pair& pair = pairs[i];
    const int64_t both = images[pair.a] + images[pair.b];
    table.rows.push_back({names[static_cast<size_t>(pair.a)], names[static_cast<size_t>(pair.b)],
                          fmt::format("{:.3g}", 100.0 * pair.uncertainty),
                          both == 0
                              ? "-"
                              : fmt::format("{:.1f}", 100.0 * static_cast<double>(pair.confused) /
                                                          static_cast<double>(both))});
  }
  table.caption =
      "Expected: the error if the images of the two classes were Gaussians of unit variance around "
      "their means. Measured may be more, where images scatter more widely than that, or less, "
      "where other classes lie between.";
  return {"similarity", "Which classes are alike to it?",
          "The uncertainty to expect between two classes by how near their means lie: 50 % is "
          "guessing; classes that people find alike should be so here too.",
          body + table.html() +
              (any && pairs.size() > 2
                   ? html_paragraph(fmt::format(
                         "Over all pairs of classes, the rank correlation of what is expected and "
                         "how many images were taken for the other is {:.2f}: 1 is the same order, "
                         "0 none.",
                         spearman(expected, measured)))
                   : std::string())};
}

}  // namespace pal
