#include "experiments/pages/model_card.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "experiments/comparison/attack_record.h"
#include "experiments/comparison/robustness_record.h"
#include "experiments/pages/answer_sections.h"
#include "experiments/pages/foreign_results.h"
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

/// A text without the folders of absolute paths, which tell of one machine alone and may name a
/// person.
std::string without_folders(const std::string& text) {
  constexpr std::string_view kAround = " \n'\"=`(";
  const auto ends_word = [&](size_t at) {
    return kAround.find(text[at]) != std::string_view::npos;
  };
  std::string shown;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '/' && (at == 0 || ends_word(at - 1))) {
      size_t end = at + 1;
      while (end < text.size() && !ends_word(end)) ++end;
      while (end > at + 1 && text[end - 1] == '/') --end;
      const size_t name = text.rfind('/', end - 1) + 1;
      if (name > at + 1) {
        shown += ".../";
        at = name;
      }
    }
    shown += text[at];
  }
  return shown;
}

/// What it is for, and what not.
std::string intended_use(const RunRecord& run, const std::vector<std::string>& names) {
  std::string text =
      run.beta == 0.0
          ? std::string(
                "For the likelihood of pictures and for drawing some; its "
                "classes mean nothing.")
          : fmt::format(
                "For telling which of {} classes a picture is of, where "
                "pictures are like those of {}{}.",
                names.size(),
                run.dataset.empty() || run.dataset == "folder" ? "its training" : run.dataset,
                run.flow ? ", how sure that is, and whether such pictures "
                           "are known"
                         : "");
  text += " Not for decisions about people, nor where a wrong answer does harm that nobody sees: ";
  text += run.flow ? "what it was tried on is said below.\n"
                   : "whatever it is shown, it answers with one of its classes.\n";
  return text;
}

/// How it was trained, as far as the run says.
std::string training_table(const RunRecord& run) {
  std::string text = "| | |\n|---|---|\n";
  const auto add = [&](const char* what, const std::string& value) {
    if (!value.empty()) text += fmt::format("| {} | {} |\n", what, markdown_cell(value));
  };
  add("data", run.dataset);
  add("network", run.arch);
  add("beta", run.beta ? fmt::format("{:g}", *run.beta) : std::string());
  if (!run.training.empty())
    add("epochs", fmt::format("{:.3g} of {:g}", run.training.back().epoch, run.epochs));
  add("seed", std::to_string(run.seed));
  if (const auto seconds = run.number("/train_seconds"))
    add("seconds of training", fmt::format("{:.0f}", *seconds));
  add("on", run.processor.empty() ? run.device : run.processor);
  add("precision", run.precision);
  add("by Palindrome", run.version);
  for (const std::string& command : run.commands) add("command", '`' + command + '`');
  return text;
}

/// Whether its probabilities can be believed, and what a calibration promises.
std::string calibration_text(const RunRecord& run, const Reliability& r) {
  std::string text = fmt::format(
      "In fifteen groups by confidence the probabilities are off by {:.2f} \u00b1 {:.2f} "
      "points (adaptive), over all classes by {:.2f} \u00b1 {:.2f}.\n",
      100.0 * r.adaptive_ece.value, 100.0 * r.adaptive_ece.error, 100.0 * r.classwise_ece.value,
      100.0 * r.classwise_ece.error);
  const auto temperature = run.number("/calibrated/temperature");
  if (!temperature)
    return text +
           "\nNo calibration was tried on these images (`pal-evaluate RUN --calibrate "
           "--summary RUN/summary.json`).\n";
  text += fmt::format(
      "\nFitted to held-out images: temperature {:.3f}.\n\n| sets of % | hold the "
      "class in % | classes on average |\n|---|---|---|\n",
      *temperature);
  for (int i = 0;; ++i) {
    const std::string set = fmt::format("/calibrated/sets/{}/", i);
    const auto level = run.number(set + "level");
    const auto coverage = run.number(set + "coverage");
    const auto size = run.number(set + "mean_size");
    if (!level || !coverage || !size) return text;
    text += fmt::format("| {:.0f} | {:.2f} | {:.2f} |\n", 100.0 * *level, 100.0 * *coverage, *size);
  }
}

/// What was measured of foreign, corrupted and attacked images, and what was not.
std::string limits_text(const RunRecord& run, const CheckpointReport& report) {
  std::string text = "Its numbers hold for images like those it was evaluated on.\n\n";
  const auto foreign = foreign_results(report, run);
  if (!run.flow)
    text += "- Foreign images: it has no density, so it does not notice them.\n";
  else if (foreign.empty())
    text += "- Foreign images: not measured (`pal-evaluate RUN --ood SET`).\n";
  for (const ForeignResult& result : foreign)
    if (const auto auc = result.best())
      text +=
          fmt::format("- Foreign images, {}: of 100 pairs with its own, {:.1f} are told right.\n",
                      markdown_cell(result.set), 100.0 * *auc);
  const auto mce = corruption_mce(run);
  const auto auc = corruption_auc(run);
  if (mce)
    text += fmt::format("- Corrupted images: mean corruption error {:.1f} % of the reference's.\n",
                        100.0 * mce->value);
  if (auc)
    text += fmt::format("- Corrupted images: told from clean ones with an AUC of {:.1f} %.\n",
                        100.0 * auc->value);
  if (!mce && !auc)
    text += "- Corrupted images: not measured (`pal-robustness RUN -o RUN/robustness`).\n";
  const auto attacks = attack_record(run);
  if (!attacks) text += "- Attacks: not measured (`pal-attack RUN -o RUN/attacks`).\n";
  constexpr size_t kMostAttacks = 6;
  for (size_t i = 0; attacks && i < std::min(kMostAttacks, attacks->model.rows.size()); ++i) {
    const AttackRow& row = attacks->model.rows[i];
    text += fmt::format(
        "- Attack {}: turned {:.1f} % of {} images, by an L2 norm of {:.2f} on "
        "average (values in [0, 1]).\n",
        row.setting.name(), 100.0 * row.success.value, row.images, row.l2.value);
  }
  text += "- Groups of people: nothing is known of them.\n";
  return text;
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
  card += "\n## Intended use\n\n" + intended_use(run, names);
  card += "\n## Training\n\n" + training_table(run);
  fmt::format_to(out, "\n## Evaluation\n\n{} images of {} ({}), noise added as in training.\n\n",
                 grouped(static_cast<int64_t>(report.noisy.images.size())), report.dataset,
                 report.split);
  card += "| measure | value |\n|---|---|\n";
  for (const Metric& metric : metrics)
    fmt::format_to(out, "| {} | {:.4f} |\n", markdown_cell(metric.name), metric.value);
  if (run.beta != 0.0) card += "\n## Calibration\n\n" + calibration_text(run, r);
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
  card += "```\n\n## Limits\n\n" + limits_text(run, report);
  card +=
      "\n## Licence\n\nNot recorded. Whoever publishes this model names one here and as "
      "`license` above, and minds that of the data.\n";
  return without_folders(card);
}

}  // namespace pal
