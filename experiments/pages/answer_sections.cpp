#include "experiments/pages/answer_sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "experiments/pages/foreign_results.h"
#include "experiments/pages/page_table.h"
#include "experiments/report/density_figure.h"
#include "experiments/report/evaluation_figures.h"
#include "experiments/report/matrix_chart.h"
#include "experiments/report/text_table.h"
#include "experiments/trust/reliability.h"
#include "runtime/json.h"

namespace pal {
namespace {

/// With so many classes a matrix is still read.
constexpr size_t kMatrixClasses = 30;
constexpr size_t kWorstPairs = 12;

std::string percent(double share, int digits = 2) {
  return fmt::format("{:.{}f}", 100.0 * share, digits);
}

std::string with_error(const Estimate& estimate, double factor, int digits) {
  return fmt::format("{:.{}f} \u00b1 {:.{}f}", factor * estimate.value, digits,
                     factor * estimate.error, digits);
}

/// A number of an object of summary.json as percent.
std::string percent_at(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? percent(found->get<double>(), 1)
                                                     : std::string();
}

PageTable foreign_table(const std::vector<ForeignResult>& results) {
  PageTable table;
  table.header = {"foreign set", "by density alone, AUC %", "by familiarity, AUC %"};
  table.caption =
      "AUC: of pairs of a foreign image and one of its own, how many are told right: 50 is "
      "guessing, 100 is without error, and below 50 the foreign images look more familiar than its "
      "own. hflip and vflip are its own images mirrored sideways and upside down.";
  const auto text = [](const std::optional<double>& auc) {
    return auc ? percent(*auc, 1) : std::string("-");
  };
  for (const ForeignResult& foreign : results)
    table.rows.push_back({foreign.set, text(foreign.density), text(foreign.familiarity)});
  return table;
}

}  // namespace

Estimate mean_accuracy(const std::vector<ImageResult>& results) {
  return mean_of(results, [](const ImageResult& r) { return r.rank == 0 ? 1.0 : 0.0; });
}

std::vector<Confusion> confusions(const std::vector<ImageResult>& results) {
  std::map<int32_t, int64_t> images;
  std::map<std::pair<int32_t, int32_t>, int64_t> counts;
  for (const ImageResult& r : results) {
    ++images[r.label];
    if (r.predicted != r.label) ++counts[{r.label, r.predicted}];
  }
  std::vector<Confusion> pairs;
  for (const auto& [pair, count] : counts)
    pairs.push_back({pair.first, pair.second, count,
                     static_cast<double>(count) / static_cast<double>(images[pair.first])});
  std::ranges::stable_sort(
      pairs, [](const Confusion& a, const Confusion& b) { return a.images > b.images; });
  return pairs;
}

HtmlSection numbers_section(const CheckpointReport& report) {
  const auto& images = report.noisy.images;
  const Reliability r = reliability_of(report.noisy);
  PageTable table;
  table.header = {"measure", "value", "better", "what it is"};
  table.words_last = true;
  const auto add = [&](const char* measure, const std::string& value, const char* better,
                       const char* what) {
    table.rows.push_back({measure, value, better, what});
  };
  add("top-1 accuracy, %", with_error(mean_accuracy(images), 100.0, 2), "high",
      "how often its first answer is right");
  if (report.classes > 5)
    add("top-5 accuracy, %",
        with_error(mean_of(images, [](const ImageResult& i) { return i.rank < 5 ? 1.0 : 0.0; }),
                   100.0, 2),
        "high", "how often the right class is among its first five");
  add("cross-entropy, nats", with_error(r.nll, 1.0, 4), "low",
      "surprise at the right class: 0 is certainty");
  add("Brier score", with_error(r.brier, 1.0, 4), "low", "squared error of all probabilities");
  add("calibration error, %", with_error(r.adaptive_ece, 100.0, 2), "low",
      "how far confidence and hit rate are apart, 15 equal parts");
  add("area under risk-coverage, %", with_error(r.aurc, 100.0, 2), "low",
      "mean error rate if the least sure answers are left out");
  if (report.noisy.has_density) {
    add("bits per dimension", with_error(bits_per_dim_of(report.noisy), 1.0, 4), "low",
        "bits that one stored value of a new image costs");
    if (report.bits_gaussian)
      add("the same of independent Gaussians", fmt::format("{:.4f}", *report.bits_gaussian), "",
          "what a model without any structure needs");
  }
  return {
      "numbers", "Numbers",
      fmt::format("On {} images of {} ({}) that it did not learn from{}; \u00b1 is one standard "
                  "error, so differences below twice that mean little.",
                  grouped(static_cast<int64_t>(images.size())), report.dataset, report.split,
                  remark_of(report.chose)),
      table.html()};
}

HtmlSection calibration_section(const CheckpointReport& report, const RunRecord& run) {
  std::string body = html_drawing(
      calibration_svg({report}), "Curve of how often an answer is right against its confidence",
      "On the dashed line a confidence of 80 % is right 80 times in 100. Below it the model is too "
      "sure, above it too modest.");
  body += html_drawing(risk_svg({report}),
                       "Curve of the error rate against the share of images that are answered",
                       "If only the surest answers are given, fewer are wrong.");
  const auto trust = run.summary->find("calibrated");
  if (trust != run.summary->end() && trust->is_object() && trust->contains("sets") &&
      (*trust)["sets"].is_array()) {
    PageTable table;
    table.header = {"set of classes that shall hold the right one, %", "did, %", "classes in it"};
    table.caption = "Learned from held-out images (pal-evaluate --calibrate), tried on these.";
    for (const auto& set : (*trust)["sets"])
      if (set.is_object())
        table.rows.push_back(
            {percent_at(set, "level"),
             percent_at(set, "coverage") + " \u00b1 " + percent_at(set, "standard_error"),
             fmt::format("{:.2f}", set.value("mean_size", 0.0))});
    body += table.html();
  } else {
    body += html_paragraph(
        "How well a calibration of this run keeps its promises was not recorded: pal-evaluate RUN "
        "--calibrate --summary RUN/summary.json learns one from the images held out and tries it "
        "on these; then sets of classes with a promised hit rate and p-values of familiarity stand "
        "here.");
  }
  return {"calibration", "Can its confidence be believed?",
          "A good curve lies on the dashed line: then a probability means what it says.", body};
}

HtmlSection confusion_section(const CheckpointReport& report,
                              const std::vector<std::string>& names) {
  const auto& images = report.noisy.images;
  const auto pairs = confusions(images);
  std::string body;
  if (names.size() <= kMatrixClasses) {
    std::vector<double> counts(names.size() * names.size()), of_label(names.size());
    for (const ImageResult& r : images) {
      counts[static_cast<size_t>(r.label) * names.size() + static_cast<size_t>(r.predicted)] += 1.0;
      of_label[static_cast<size_t>(r.label)] += 1.0;
    }
    MatrixChart chart;
    chart.title = "Row: what it is. Column: what the model says. In % of the row";
    chart.unit = "% of the images of a class";
    chart.digits = 1;
    chart.rows = chart.columns = names;
    for (size_t y = 0; y < names.size(); ++y)
      for (size_t k = 0; k < names.size(); ++k)
        chart.values.push_back(
            of_label[y] > 0.0 ? 100.0 * counts[y * names.size() + k] / of_label[y] : std::nan(""));
    body += html_drawing(chart.svg(), "Matrix of true classes against predicted ones");
  }
  PageTable table;
  table.header = {"an image of", "taken for", "images", "% of its class"};
  table.left = 2;
  for (size_t i = 0; i < std::min(kWorstPairs, pairs.size()); ++i)
    table.rows.push_back({names[static_cast<size_t>(pairs[i].label)],
                          names[static_cast<size_t>(pairs[i].predicted)], grouped(pairs[i].images),
                          percent(pairs[i].share, 1)});
  body += pairs.empty() ? html_paragraph("No image was taken for another class.") : table.html();
  return {
      "confusion", "Which classes does it confuse?",
      names.size() <= kMatrixClasses
          ? "A perfect model has everything on the diagonal; dark cells beside it are classes that "
            "it cannot tell apart."
          : "The pairs of classes that it takes for each other most; a perfect model has none.",
      body};
}

HtmlSection density_section(const CheckpointReport& report, const RunRecord& run) {
  std::string body = html_drawing(density_svg(report), "Histogram of the log-densities of images",
                                  "Nine in ten of its own images lie between the dashed lines. "
                                  "What lies outside, on either side, "
                                  "is unusual: too simple pictures are often too likely.");
  const PageTable foreign = foreign_table(foreign_results(report, run));
  body +=
      foreign.rows.empty()
          ? html_paragraph("No foreign images were looked at: --ood digits --ood vflip adds some.")
          : foreign.html();
  return {"density", "Does it know what it has not seen?",
          "A good model gives foreign images densities that its own images hardly have.", body};
}

}  // namespace pal
