#include "experiments/pages/sweep_section.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "experiments/comparison/run_measures.h"
#include "experiments/comparison/sweep_table.h"
#include "experiments/pages/page_table.h"
#include "experiments/report/chart.h"

namespace pal {
namespace {

/// With fewer betas there is no order to speak of.
constexpr size_t kFewestBetas = 3;

constexpr const char* kPaper =
    "Generative Classifiers as a Basis for Trustworthy Image Classification, by Mackowiak, "
    "Ardizzone, "
    "K\u00f6the and Rother, 2021";

std::string mean_text(const std::optional<GroupMean>& mean, double factor, int digits) {
  if (!mean) return "-";
  std::string text = fmt::format("{:.{}f}", factor * mean->mean, digits);
  if (mean->error) text += fmt::format(" \u00b1 {:.{}f}", factor * *mean->error, digits);
  return text;
}

std::optional<GroupMean> without_error(std::optional<GroupMean> mean) {
  if (mean) mean->error.reset();
  return mean;
}

/// A text for terminals as a page has it.
std::string typeset(std::string text) {
  for (size_t at = text.find("+-"); at != std::string::npos; at = text.find("+-", at))
    text.replace(at, 2, "\u00b1");
  return text;
}

bool without_classes(const BetaGroup& group) { return group.flow && group.beta == 0.0; }

PageTable table_of_groups(const Sweep& sweep) {
  PageTable table;
  table.header = {"network",
                  "runs",
                  "top-1 % \u2191",
                  "CE, nats \u2193",
                  "bits/dim \u2193",
                  "calibration error of the answer, % \u2193",
                  "digits by density (quantile test), AUC % \u2191"};
  table.caption =
      "Means over seeds; \u00b1 is their standard error, arrows say what is better. Beta 0 learns "
      "no "
      "classes; a network that only classifies has no density. Above 8 bits/dim a density is worse "
      "than none: storing the image takes 8.";
  for (const BetaGroup& group : sweep.all()) {
    const auto of_classes = [&](const char* pointer, double factor, int digits) {
      return without_classes(group) ? std::string("-")
                                    : mean_text(group.mean(pointer), factor, digits);
    };
    table.rows.push_back(
        {group.name(), std::to_string(group.runs.size()), of_classes("/acc1", 100.0, 2),
         of_classes("/ce", 1.0, 4), mean_text(group.mean("/bits_per_dim"), 1.0, 3),
         of_classes("/ece_adaptive/value", 100.0, 2), mean_text(group.mean("/ood_auc"), 100.0, 1)});
  }
  return table;
}

/// Bits/dim against accuracy, a point for each beta; empty where there are no two points.
std::string trade_off(const Sweep& sweep) {
  Chart chart;
  chart.title = "What beta trades: density against accuracy";
  chart.x_title = "bits per dimension (left: better density)";
  chart.y_title = "right answers, %";
  chart.width = 720;
  Series points{.name = "flows by beta"};
  for (const BetaGroup& group : sweep.flows) {
    const auto bits = group.mean("/bits_per_dim"), accuracy = group.mean("/acc1");
    if (!bits || !accuracy || without_classes(group)) continue;
    points.x.push_back(bits->mean);
    points.y.push_back(100.0 * accuracy->mean);
    points.error.push_back(100.0 * accuracy->error.value_or(0.0));
    points.labels.push_back(group.name());
  }
  if (points.x.size() < 2) return {};
  const auto [least, most] = std::ranges::minmax(points.x);
  chart.series.push_back(points);
  if (sweep.feed_forward)
    if (const auto accuracy = sweep.feed_forward->mean("/acc1"))
      chart.series.push_back({.name = "feed-forward net",
                              .x = {least, most},
                              .y = {100.0 * accuracy->mean, 100.0 * accuracy->mean},
                              .dashed = true,
                              .points = false});
  return chart.svg();
}

PageTable table_of_orderings(const std::vector<Ordering>& all) {
  PageTable table;
  table.header = {"verdict", "of the paper", "claim", "measured here"};
  table.left = 4;
  for (const auto verdict : {Ordering::Verdict::does_not_hold, Ordering::Verdict::holds,
                             Ordering::Verdict::undecided, Ordering::Verdict::not_measured})
    for (const Ordering& each : all)
      if (each.verdict == verdict)
        table.rows.push_back(
            {name_of(verdict), each.product, each.expected, typeset(each.measured)});
  table.caption =
      "A difference counts from two standard errors on (over seeds; of a single seed, of its own "
      "images); what does not count is undecided. Rises, falls, grows: the last beta differs from "
      "the first, and no pair of betas the other way; \u201cunclear\u201d names neighbours that do "
      "not "
      "differ. What was not measured needs corrupted images or attacks (pal-robustness, "
      "pal-attack).";
  return table;
}

/// What the runs are and what beta did to them, in sentences.
std::vector<std::string> sweep_reading(const Sweep& sweep) {
  std::vector<std::string> sentences;
  std::vector<std::string> betas;
  for (const BetaGroup& group : sweep.flows) betas.push_back(fmt::format("{:g}", *group.beta));
  sentences.push_back(fmt::format(
      "One network ({}) was trained with different weights beta, {}: from learning what images "
      "look "
      "like (0) to naming them alone (inf){}.",
      sweep.flows[0].arch, fmt::join(betas, ", "),
      sweep.feed_forward
          ? fmt::format("; {} is an ordinary feed-forward classifier", sweep.feed_forward->arch)
          : ""));
  std::vector<GroupMean> accuracy, bits;
  std::vector<std::string> named, dense;
  for (const BetaGroup& group : sweep.flows) {
    if (const auto mean = group.mean("/acc1"); mean && !without_classes(group)) {
      accuracy.push_back(*mean);
      named.push_back(fmt::format("{:g}", *group.beta));
    }
    if (const auto mean = group.mean("/bits_per_dim")) {
      bits.push_back(*mean);
      dense.push_back(fmt::format("{:g}", *group.beta));
    }
  }
  if (accuracy.size() > 1 && bits.size() > 1)
    sentences.push_back(fmt::format(
        "From beta {} to {} right answers go from {:.1f} to {:.1f} %; from beta {} to {} bits per "
        "dimension go from {:.2f} to {:.2f} (lower is a better idea of what images look like).",
        named.front(), named.back(), 100.0 * accuracy.front().mean, 100.0 * accuracy.back().mean,
        dense.front(), dense.back(), bits.front().mean, bits.back().mean));
  if (sweep.feed_forward)
    if (const auto mean = sweep.feed_forward->mean("/acc1"))
      sentences.push_back(
          fmt::format("The feed-forward classifier is right about {:.1f} %.", 100.0 * mean->mean));
  return sentences;
}

/// How well foreign sets are told by each network: quantile test of the density, and familiarity.
PageTable table_of_foreign(const Sweep& sweep) {
  std::vector<std::string> sets;
  for (const BetaGroup& group : sweep.flows)
    for (const RunRecord* const run : group.runs)
      for (const std::string& set : foreign_sets({*run}))
        if (std::ranges::find(sets, set) == sets.end()) sets.push_back(set);
  PageTable table;
  if (sets.empty()) return table;
  table.header = {"foreign images"};
  for (const BetaGroup& group : sweep.flows) table.header.push_back(group.name());
  for (const std::string& set : sets) {
    std::vector<std::string> row = {set};
    for (const BetaGroup& group : sweep.flows)
      row.push_back(mean_text(without_error(group.mean(auc_of(set, kQuantile))), 100.0, 0) + " / " +
                    mean_text(without_error(group.mean(familiarity_auc(set))), 100.0, 0));
    table.rows.push_back(std::move(row));
  }
  table.caption =
      "AUC %, by density alone (quantile test) / by familiarity: how well the images are told from "
      "its own; 50 is guessing, below that they look more familiar than its own. vflip is its own "
      "images upside down, low-contrast has 0.3 of their contrast.";
  return table;
}

std::string counts_sentence(const std::vector<Ordering>& found) {
  const int64_t broken = count_of(found, Ordering::Verdict::does_not_hold);
  const int64_t missing = count_of(found, Ordering::Verdict::not_measured);
  return fmt::format("Of {} claims about beta {} were tested: {} hold, {} do not, {} undecided.{}",
                     found.size(), static_cast<int64_t>(found.size()) - missing,
                     count_of(found, Ordering::Verdict::holds), broken,
                     count_of(found, Ordering::Verdict::undecided),
                     broken == 0 ? "" : " What does not hold:");
}

std::vector<std::string> broken_orderings(const std::vector<Ordering>& found) {
  std::vector<std::string> broken;
  for (const Ordering& each : found)
    if (each.verdict == Ordering::Verdict::does_not_hold)
      broken.push_back(fmt::format("{}: {}", each.product, each.expected));
  return broken;
}

}  // namespace

std::optional<HtmlSection> sweep_section(const std::vector<RunRecord>& runs) {
  const Sweep sweep = sweep_of(runs);
  if (sweep.flows.size() < kFewestBetas) return std::nullopt;
  const std::vector<Ordering> found = orderings(sweep);
  std::string body = html_list(sweep_reading(sweep)) + html_paragraph(counts_sentence(found)) +
                     html_list(broken_orderings(found));
  if (const std::string svg = trade_off(sweep); !svg.empty())
    body += html_drawing(svg, "Accuracy against bits per dimension, a point for each beta",
                         "Up is more accurate, left is a better density: no beta has both.");
  body += table_of_groups(sweep).html();
  const PageTable foreign = table_of_foreign(sweep);
  if (!foreign.rows.empty()) body += foreign.html();
  body += table_of_orderings(found).html();
  if (!sweep.left_out.empty()) body += html_paragraph("Runs that are not compared:");
  body += html_list(sweep.left_out);
  return HtmlSection{
      "orderings", "Does the paper hold here?",
      fmt::format("What the paper ({}) found over beta on ImageNet, looked for among "
                  "these runs: a small network and small images may well behave "
                  "otherwise.",
                  kPaper),
      body};
}

std::string sweep_markdown(const Sweep& sweep, const std::vector<Ordering>& found) {
  std::string text;
  const auto add_list = [&](const std::vector<std::string>& items) {
    for (const std::string& item : items) text += fmt::format("- {}\n", item);
    if (!items.empty()) text += '\n';
  };
  if (!sweep.flows.empty()) add_list(sweep_reading(sweep));
  text += counts_sentence(found) + "\n\n";
  add_list(broken_orderings(found));
  text += table_of_groups(sweep).markdown() + "\n";
  if (const PageTable foreign = table_of_foreign(sweep); !foreign.rows.empty())
    text += foreign.markdown() + "\n";
  text += table_of_orderings(found).markdown();
  if (!sweep.left_out.empty()) text += "\nRuns that are not compared:\n\n";
  add_list(sweep.left_out);
  return text;
}

}  // namespace pal
