#include "experiments/pages/model_card.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iterator>

#include "experiments/pages/answer_sections.h"
#include "experiments/pages/page_table.h"
#include "experiments/report/text_table.h"
#include "experiments/trust/reliability.h"
#include "runtime/json.h"

namespace pal {
namespace {

/// A text as YAML can hold it: JSON's strings are YAML's.
std::string yaml_text(const std::string& text) {
  return json_text(nlohmann::json(text), -1, BadUtf8::replaced);
}

}  // namespace

std::string model_card(const RunRecord& run, const CheckpointReport& report,
                       const std::vector<std::string>& names,
                       const std::vector<std::string>& reading) {
  const Reliability r = reliability_of(report.noisy);
  struct Metric {
    const char* type;
    std::string name;
    double value;
  };
  std::vector<Metric> metrics;
  if (run.beta != 0.0) {
    metrics.push_back({"accuracy", "Top-1 accuracy", report.noisy.summary.acc1});
    metrics.push_back({"cross_entropy", "Cross-entropy, nats", r.nll.value});
    metrics.push_back({"ece", "Calibration error (adaptive, 15 bins)", r.adaptive_ece.value});
  }
  if (report.noisy.has_density)
    metrics.push_back({"bits_per_dim", "Bits per dimension", report.noisy.summary.bits_per_dim});
  std::string card;
  const auto out = std::back_inserter(card);
  fmt::format_to(out,
                 "---\nlibrary_name: palindrome\npipeline_tag: image-classification\n"
                 "tags:\n- image-classification\n{}model-index:\n- name: {}\n  results:\n"
                 "  - task:\n      type: image-classification\n    dataset:\n      name: {}\n"
                 "      type: {}\n      split: {}\n    metrics:\n",
                 run.flow ? "- normalizing-flow\n- generative-classifier\n" : "",
                 yaml_text(run.name), yaml_text(report.dataset), yaml_text(report.dataset),
                 yaml_text(report.split));
  for (const Metric& metric : metrics)
    fmt::format_to(out, "    - type: {}\n      name: {}\n      value: {:.6g}\n", metric.type,
                   yaml_text(metric.name), metric.value);
  fmt::format_to(out, "---\n\n# {}\n\n", run.name);
  fmt::format_to(
      out, "A{} of the network `{}` for images of {} classes, trained by Palindrome{}{}.\n\n",
      run.flow ? " generative classifier (a normalizing flow with one Gaussian per class)"
               : " classifier",
      run.arch, names.size(), run.dataset.empty() ? "" : " on " + run.dataset,
      run.beta ? fmt::format(" at beta {:g}", *run.beta) : "");
  for (const std::string& sentence : reading) fmt::format_to(out, "- {}\n", sentence);
  fmt::format_to(out, "\n## Evaluation\n\n{} images of {} ({}), noise added as in training.\n\n",
                 grouped(static_cast<int64_t>(report.noisy.images.size())), report.dataset,
                 report.split);
  card += "| measure | value |\n|---|---|\n";
  for (const Metric& metric : metrics)
    fmt::format_to(out, "| {} | {:.4f} |\n", markdown_cell(metric.name), metric.value);
  card += "\n## Classes\n\n";
  constexpr size_t kListed = 100;
  const std::vector<std::string> listed(
      names.begin(), names.begin() + static_cast<std::ptrdiff_t>(std::min(kListed, names.size())));
  fmt::format_to(
      out, "{}{}\n", fmt::join(listed, ", "),
      names.size() > kListed ? fmt::format(", and {} more", names.size() - kListed) : "");
  card += "\n## Use\n\n```\npal-classify CHECKPOINT picture.png\n";
  if (run.flow && run.beta != 0.0) card += "pal-explain evidence CHECKPOINT\n";
  if (run.flow) card += "pal-sample CHECKPOINT -o samples.png\n";
  card += "```\n\n## Limits\n\nIts numbers hold for images like those it was evaluated on. ";
  card += run.flow ? "`pal-evaluate --calibrate` adds sets of classes with a promised hit rate and "
                     "p-values of familiarity.\n"
                   : "It does not notice images unlike those it learned from.\n";
  return card;
}

}  // namespace pal
