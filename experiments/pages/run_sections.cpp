#include "experiments/pages/run_sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "experiments/comparison/run_measures.h"
#include "experiments/pages/page_table.h"
#include "experiments/report/chart.h"
#include "experiments/report/text_table.h"
#include "runtime/json.h"

namespace pal {
namespace {

/// Runs that one chart can hold.
constexpr size_t kMostLines = 8;

std::string beta_label(const RunRecord& run) {
  if (!run.flow) return "ResNet";
  return run.beta ? fmt::format("beta {:g}", *run.beta) : std::string();
}

/// A line of a number over the epochs; points without it are left out.
Series line_of(const std::string& name, size_t place, const std::vector<CurvePoint>& points,
               double CurvePoint::*member, double factor = 1.0) {
  Series series{.name = name, .place = static_cast<int>(place)};
  for (const CurvePoint& point : points) {
    if (!std::isfinite(point.*member)) continue;
    series.x.push_back(point.epoch);
    series.y.push_back(factor * point.*member);
  }
  return series;
}

/// A chart over the epochs; empty if no line has a point.
std::string epoch_chart(const std::string& title, const std::string& y_title,
                        std::vector<Series> lines) {
  std::erase_if(lines, [](const Series& line) { return line.x.empty(); });
  if (lines.empty()) return {};
  Chart chart;
  chart.title = title;
  chart.x_title = "passes over the training images (epochs)";
  chart.y_title = y_title;
  chart.width = 720;
  chart.height = 320;
  chart.series = std::move(lines);
  return chart.svg();
}

/// Whether a run's answers are trained at all.
bool knows_classes(const RunRecord& run) { return !run.beta || *run.beta > 0.0; }

std::string figure(const RunRecord& run, const char* pointer, double factor, int digits) {
  const auto number = run.number(pointer);
  return number ? fmt::format("{:.{}f}", factor * *number, digits) : std::string("-");
}

std::string accuracy_text(const RunRecord& run) {
  const auto accuracy = accuracy_of(run);
  if (!accuracy || !knows_classes(run)) return "-";
  return fmt::format("{:.2f} \u00b1 {:.2f}", 100.0 * accuracy->value, 100.0 * *accuracy->error);
}

}  // namespace

std::vector<std::string> run_labels(const std::vector<RunRecord>& runs) {
  std::vector<std::string> labels, names;
  for (const RunRecord& run : runs) {
    labels.push_back(beta_label(run));
    names.push_back(run.name);
  }
  const auto tell_apart = [&](const std::vector<std::string>& texts) {
    return std::set<std::string>(texts.begin(), texts.end()).size() == texts.size();
  };
  if (tell_apart(labels) && std::ranges::find(labels, std::string()) == labels.end()) return labels;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (!labels[i].empty()) labels[i] += ", ";
    labels[i] += fmt::format("seed {}", runs[i].seed);
  }
  if (tell_apart(labels)) return labels;
  if (tell_apart(names)) return names;
  for (size_t i = 0; i < runs.size(); ++i) labels[i] = runs[i].path;
  return labels;
}

std::vector<size_t> shown_runs(const std::vector<RunRecord>& runs) {
  std::vector<size_t> chosen;
  const bool few = runs.size() <= kMostLines;
  const auto least = std::ranges::min_element(runs, {}, &RunRecord::seed);
  for (size_t i = 0; i < runs.size() && chosen.size() < kMostLines; ++i)
    if (few || runs[i].seed == least->seed) chosen.push_back(i);
  return chosen;
}

HtmlSection curves_section(const std::vector<RunRecord>& runs) {
  const auto labels = run_labels(runs);
  const bool alone = runs.size() == 1;
  std::vector<Series> accuracy, bits, entropy, rate;
  size_t next = 0;
  for (const size_t i : shown_runs(runs)) {
    const RunRecord& run = runs[i];
    const std::string name = alone ? "held-out images" : labels[i];
    // A colour for each run, in all charts alike; of one run alone the first is for training.
    constexpr size_t kTraining = 0;
    const size_t place = alone ? kTraining + 1 : next++;
    if (knows_classes(run)) {
      if (alone)
        accuracy.push_back(
            line_of("training", kTraining, run.training, &CurvePoint::accuracy, 100.0));
      accuracy.push_back(line_of(name, place, run.validation, &CurvePoint::accuracy, 100.0));
      entropy.push_back(line_of(name, place, run.validation, &CurvePoint::cross_entropy));
    }
    if (run.flow) {
      if (alone)
        bits.push_back(line_of("training", kTraining, run.training, &CurvePoint::bits_per_dim));
      bits.push_back(line_of(name, place, run.validation, &CurvePoint::bits_per_dim));
    }
    if (alone) rate.push_back(line_of("", kTraining, run.training, &CurvePoint::learning_rate));
  }
  std::string body;
  const auto add = [&](const std::string& svg, const char* alt) {
    if (!svg.empty()) body += html_drawing(svg, alt);
  };
  add(epoch_chart(alone ? "Accuracy" : "Accuracy on held-out images", "right answers, %", accuracy),
      "Accuracy over the epochs");
  add(epoch_chart("Cross-entropy of held-out images", "nats", entropy),
      "Cross-entropy over the epochs");
  add(epoch_chart(alone ? "Bits per dimension" : "Bits per dimension of held-out images",
                  "bits per stored value", bits),
      "Bits per dimension over the epochs");
  add(epoch_chart("Learning rate", "learning rate", rate), "Learning rate over the epochs");
  if (body.empty())
    body = html_paragraph(
        "No curves: a checkpoint alone was given, or the run has not validated yet.");
  return {"curves", "How training went",
          alone
              ? "Accuracy should rise and bits per dimension fall, on held-out images as on those "
                "it learns from; a gap that opens between the two means learning by heart. Those "
                "it learns from are cropped, mirrored and noisy as its recipe says, and judged "
                "before the step, so they may look worse. The numbers elsewhere are of the images "
                "named above."
              : "Accuracy should rise and bits per dimension fall, on images that no run learned "
                "from. The numbers elsewhere are of the images named above.",
          body};
}

HtmlSection comparison_section(const std::vector<RunRecord>& runs) {
  const auto labels = run_labels(runs);
  PageTable table;
  table.header = {"run",
                  "top-1 % \u2191",
                  "CE, nats \u2193",
                  "bits/dim \u2193",
                  "calibration error, % \u2193",
                  "overconfidence (1: as allowed)",
                  "digits, AUC % \u2191"};
  std::vector<const RunRecord*> compared;
  for (const RunRecord& run : runs)
    if (run.evaluated()) compared.push_back(&run);
  const double threshold = common_oce_threshold(compared);
  const Measure overconfidence = overconfidence_at(threshold);
  size_t missing = 0;
  for (size_t i = 0; i < runs.size(); ++i) {
    const RunRecord& run = runs[i];
    const auto oce = overconfidence(run);
    if (!run.evaluated()) ++missing;
    const char* const entropy = "/ce";
    table.rows.push_back({labels[i], accuracy_text(run),
                          knows_classes(run) ? figure(run, entropy, 1.0, 4) : "-",
                          figure(run, "/bits_per_dim", 1.0, 4),
                          knows_classes(run) ? figure(run, "/ece_adaptive/value", 100.0, 2) : "-",
                          knows_classes(run) && oce ? fmt::format("{:.2f}", oce->value) : "-",
                          figure(run, "/ood_auc", 100.0, 1)});
  }
  table.caption = fmt::format(
      "Of the images that pal-evaluate --summary measured. Overconfidence: error rate of answers "
      "of "
      "more than {:g} % confidence over the {:g} % that is allowed. Digits: how well handwritten "
      "digits are told from its own images by their density alone (quantile test).",
      100.0 * threshold, 100.0 * (1.0 - threshold));
  std::string body = table.html();
  if (missing > 0)
    body +=
        html_paragraph(fmt::format("{} of the {} runs have no evaluation: pal-evaluate RUN "
                                   "--summary RUN/summary.json makes it.",
                                   missing, runs.size()));
  return {
      "comparison", "Side by side",
      "Higher accuracy and lower bits per dimension are better; beta decides which of the two a "
      "network is trained for.",
      body};
}

}  // namespace pal
