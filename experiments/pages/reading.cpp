#include "experiments/pages/reading.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "experiments/measures/calibration.h"
#include "experiments/pages/answer_sections.h"
#include "experiments/pages/foreign_results.h"
#include "experiments/report/text_table.h"
#include "experiments/trust/reliability.h"

namespace pal {
namespace {

/// "91 of 100": a share as people say it.
std::string of_hundred(double share) { return fmt::format("{:.0f} of 100", 100.0 * share); }

std::string accuracy_sentence(const CheckpointReport& report) {
  const Estimate accuracy = mean_accuracy(report.noisy.images);
  const double guessing = 1.0 / static_cast<double>(std::max<int64_t>(1, report.classes));
  std::string text =
      fmt::format("It names {} images of {} right ({:.2f} \u00b1 {:.2f} %); guessing would get {}.",
                  of_hundred(accuracy.value), report.dataset, 100.0 * accuracy.value,
                  100.0 * accuracy.error, of_hundred(guessing));
  if (accuracy.value - guessing < 2.0 * accuracy.error) text += " It has learned no classes.";
  return text;
}

std::string confusion_sentence(const CheckpointReport& report,
                               const std::vector<std::string>& names) {
  const auto pairs = confusions(report.noisy.images);
  if (pairs.empty()) return "It confuses no classes.";
  const Confusion& worst = pairs.front();
  return fmt::format("Its commonest mistake is to take {} for {}: {:.0f} % of {}.",
                     names[static_cast<size_t>(worst.label)],
                     names[static_cast<size_t>(worst.predicted)], 100.0 * worst.share,
                     names[static_cast<size_t>(worst.label)]);
}

std::string confidence_sentence(const CheckpointReport& report) {
  const Reliability r = reliability_of(report.noisy);
  const double confidence = report.noisy.summary.confidence;
  const double accuracy = report.noisy.summary.acc1;
  const char* const verdict = r.adaptive_ece.value < 0.01   ? "can be taken at their word"
                              : r.adaptive_ece.value < 0.03 ? "can nearly be taken at their word"
                              : r.adaptive_ece.value < 0.06 ? "are roughly right"
                                                            : "cannot be taken at their word";
  return fmt::format(
      "Its probabilities {}: its answers say {:.1f} % on average and are right in {:.1f} %, so it "
      "is "
      "too {}; in fifteen groups by confidence they are off by {:.1f} \u00b1 {:.1f} points.",
      verdict, 100.0 * confidence, 100.0 * accuracy, confidence > accuracy ? "sure" : "modest",
      100.0 * r.adaptive_ece.value, 100.0 * r.adaptive_ece.error);
}

std::string density_sentence(const CheckpointReport& report) {
  const double bits = report.noisy.summary.bits_per_dim;
  std::string text = fmt::format(
      "It also says how likely an image is: {:.2f} bits for each stored value, where storing it "
      "takes 8",
      bits);
  if (report.bits_gaussian)
    text += fmt::format(" and independent Gaussians {:.2f}", *report.bits_gaussian);
  return text + (bits < 8.0 ? "." : "; so it has learned nothing of what images look like.");
}

/// Foreign sets by how well they are told from the model's own images.
std::string foreign_sentence(const std::vector<ForeignResult>& results) {
  struct Level {
    double from;  // AUC
    const char* words;
  };
  constexpr Level kLevels[] = {{0.95, "almost always:"},
                               {0.75, "mostly:"},
                               {0.6, "a little better than by guessing:"},
                               {-1.0, "no better than by guessing:"}};
  std::vector<std::string> parts;
  double below = 2.0;
  for (const Level& level : kLevels) {
    std::vector<std::string> sets;
    for (const ForeignResult& result : results)
      if (const auto auc = result.best(); auc && *auc >= level.from && *auc < below)
        sets.push_back(fmt::format("{} ({:.0f})", result.set, 100.0 * *auc));
    if (!sets.empty()) parts.push_back(fmt::format("{} {}", level.words, fmt::join(sets, ", ")));
    below = level.from;
  }
  if (parts.empty()) return {};
  return fmt::format(
      "Images unlike its own are told from them, {}. In brackets: of 100 pairs of either, how many "
      "are told right.",
      fmt::join(parts, "; "));
}

/// Accuracy late in training, of the images learned from and of those held out.
std::string learning_sentence(const RunRecord& run) {
  if (run.training.empty() || run.validation.empty()) return {};
  constexpr double kLate = 0.9;  // of the epochs so far
  constexpr double kSmallGap = 0.03, kLargeGap = 0.1;
  double sum = 0.0, count = 0.0;
  for (const CurvePoint& point : run.training)
    if (point.epoch >= kLate * run.training.back().epoch) {
      sum += point.accuracy;
      count += 1.0;
    }
  const double learned = sum / count, held_out = run.validation.back().accuracy;
  const double gap = learned - held_out;
  return fmt::format(
      "Late in training it was right about {:.1f} % of the images that it learned from and {:.1f} "
      "% of those held out: it has learned {} by heart.",
      100.0 * learned, 100.0 * held_out,
      gap < kSmallGap   ? "hardly anything"
      : gap < kLargeGap ? "some"
                        : "much");
}

}  // namespace

std::vector<std::string> plain_reading(const RunRecord& run, const CheckpointReport& report,
                                       const std::vector<std::string>& names) {
  std::vector<std::string> sentences;
  if (run.beta == 0.0) {
    sentences.emplace_back(
        "It was trained at beta 0, for the likelihood of images alone: its classes mean nothing.");
  } else {
    sentences.push_back(accuracy_sentence(report));
    sentences.push_back(confusion_sentence(report, names));
    sentences.push_back(confidence_sentence(report));
    sentences.push_back(learning_sentence(run));
  }
  if (report.noisy.has_density) {
    sentences.push_back(density_sentence(report));
    sentences.push_back(foreign_sentence(foreign_results(report, run)));
  } else {
    sentences.emplace_back(
        "It only classifies: it cannot say how likely an image is, explain an answer exactly or "
        "draw images.");
  }
  if (report.chose != ChoseCheckpoint::no)
    sentences.emplace_back(
        "These images chose the checkpoint, so the numbers are somewhat better than of new ones.");
  if (!run.complete() && !run.training.empty())
    sentences.push_back(fmt::format(
        "Its training was stopped at {:.1f} of {:g} epochs; the page shows it as it was then.",
        run.training.back().epoch, run.epochs));
  std::erase(sentences, std::string());
  return sentences;
}

}  // namespace pal
