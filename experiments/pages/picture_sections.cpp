#include "experiments/pages/picture_sections.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "experiments/explain/class_figures.h"
#include "experiments/explain/map_sheets.h"
#include "experiments/measures/class_match.h"
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
constexpr double kSampleTemperature = 0.7;

ExplainOptions explain_options(const PicturedRun& run, const std::vector<int64_t>& images) {
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
  const char* const whose = right ? "that it is right about" : "that it is surest of and wrong";
  const auto explained = explain_images(options, run.loaded);
  std::string body =
      html_picture(sheet_image(heatmap_sheet(options, run.loaded, explained).sheet),
                   fmt::format("Maps of the likeliest classes, for images {}", whose),
                   fmt::format("Images {}: how unusual each place is, and what it says for the "
                               "likeliest classes. Yellow: for it.",
                               whose));
  if (!right) options.evidence_against = "label";
  return body + html_picture(
                    sheet_image(evidence_sheet(options, run.loaded, explained).sheet),
                    fmt::format("Evidence for a class against another, for images {}", whose),
                    right
                        ? "Red places speak for its answer, blue ones for the next likely class."
                        : "Red places speak for its wrong answer, blue ones for the right class.");
}

/// Test images of each sampled class that stand beside its samples: as many as all of them have.
int64_t real_images(const PicturedRun& run, size_t classes) {
  const TestImages from = open_test_images(run.data, run.checkpoint, run.loaded);
  const ClassMatch match = match_classes(run.loaded, run.checkpoint, from.set->info(), false);
  std::vector<int64_t> counts(classes);
  const std::vector<int64_t> all =
      from.indices.empty() ? all_images(from.set->info()) : from.indices;
  for (const int64_t i : all)
    if (const auto y = static_cast<size_t>(match.model_class(from.set->label(i))); y < classes)
      ++counts[y];
  return std::min(kRealImages, *std::ranges::min_element(counts));
}

/// Where samples are drawn: where training images lie, if they are to be had and enough.
std::vector<ClassSpread> spreads_of(SampleOptions& options, const PicturedRun& run,
                                    const std::vector<int64_t>& classes) {
  try {
    return sample_spreads(options, run.loaded, classes);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::numerics) throw;
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

HtmlSection samples_section(const PicturedRun& run) {
  SampleOptions options;
  options.checkpoint = run.checkpoint;
  options.data = run.data;
  options.run = run.run;
  options.count = kSamplesEach;
  options.temperatures = {kSampleTemperature};
  const auto names = model_class_names(run.loaded.input, run.loaded.model->config().classes);
  for (size_t y = 0; y < std::min(kSampledClasses, names.size()); ++y)
    options.classes.push_back(std::to_string(y));
  options.real = real_images(run, options.classes.size());
  const auto classes = sampled_classes(options, run.loaded);
  const auto spreads = spreads_of(options, run, classes);
  const SampleSheet made = make_sample_sheet(options, run.loaded, spreads);
  return {"samples", "What it imagines",
          fmt::format("Right: pictures drawn from each class at temperature {}, which should look "
                      "like the real ones on the left.",
                      kSampleTemperature),
          html_picture(sheet_image(made.sheet), "Sheet of samples of classes beside real images")};
}

HtmlSection evidence_section(const PicturedRun& run) {
  const Examples examples = examples_of(run.report.noisy.images, kExamples);
  return {"evidence", "Why does it say so?",
          "Each place of an image contributes to the answer, and the contributions add up to it "
          "exactly: they should lie on the object, where a person would look.",
          maps_of(run, examples.right, true) + maps_of(run, examples.wrong, false)};
}

HtmlSection decision_section(const PicturedRun& run) {
  const Examples examples = examples_of(run.report.noisy.images, 1);
  std::string body;
  for (const bool right : {true, false}) {
    const auto& images = right ? examples.right : examples.wrong;
    if (images.empty()) continue;
    const Figure figure = decision_figure(explain_options(run, images), run.loaded);
    body += html_drawing(
        figure.svg,
        fmt::format("An image among the means of its likeliest classes, {}",
                    right ? "a right answer" : "a wrong answer"),
        right ? "A right answer: how near the image lies to its classes." : "A wrong answer.");
  }
  return {"decision", "How close was it?",
          "Each half circle reaches as far from its class as nine in ten of the class's images do, "
          "along "
          "the line and away from it; an image between two could be either, one far from all is "
          "unlike what was learned.",
          body};
}

HtmlSection similarity_section(const PicturedRun& run) {
  ExplainOptions options = explain_options(run, {});
  const Figure figure = similarity_figure(options, run.loaded);
  const auto classes = run.loaded.model->config().classes;
  std::string body;
  constexpr int64_t kMatrixClasses = 60;
  if (classes <= kMatrixClasses)
    body = html_drawing(figure.svg, "Matrix of the uncertainty to expect between two classes");
  for (const std::string& lines : figure.lines) body += html_lines(lines);
  return {"similarity", "Which classes are alike to it?",
          "The uncertainty to expect between two classes: 50 % is guessing; classes that people "
          "find alike should be so here too.",
          body};
}

}  // namespace pal
