#include "experiments/pages/closing_sections.h"

#include <fmt/format.h>

#include <cmath>
#include <set>

#include "experiments/pages/page_table.h"
#include "experiments/report/text_table.h"

namespace pal {
namespace {

/// Runs whose commands are shown.
constexpr size_t kShownCommands = 1;

struct Word {
  const char* word;
  const char* meaning;
  bool density;          // of flows alone
  bool attacks = false;  // where there are attacks alone
};

constexpr Word kWords[] = {
    {"accuracy, top-1",
     "share of images whose first answer is right; top-5: that have the right "
     "class among the first five answers",
     false},
    {"attack",
     "a change to an image, computed from the network's weights, that turns its answer; cw is that "
     "of Carlini and Wagner (converged: until it gets no better; paper: as briefly as the paper "
     "had "
     "it), ddn one that looks for the least change, pgd one that stays within a size",
     false, true},
    {"AUC",
     "area under a curve: of all pairs of an image of either kind, the share that a score puts in "
     "the right order; 50 % is guessing",
     false},
    {"beta",
     "the weight of naming images against saying how likely they are, in training: 0 is the "
     "likelihood of images alone, inf is naming them alone",
     true},
    {"bits per dimension",
     "bits that a perfect packer built on the model needs for each stored value (a grey level, or "
     "one of three colours) of a new image; storing it as it is takes 8",
     true},
    {"calibration",
     "that of the answers of 80 % confidence 80 in 100 are right; the calibration error is the "
     "mean "
     "distance from that",
     false},
    {"cross-entropy (CE)",
     "mean of -ln of the probability that the right class was given; 0 is certainty, ln of the "
     "number of classes is knowing nothing",
     false},
    {"d",
     "of an attack: the weight of looking as likely as ordinary images, so that the density does "
     "not notice; 0: it does not care",
     true, true},
    {"epoch", "one pass over the training images", false},
    {"evidence",
     "what a place of an image adds to the logarithm of the odds of one class against another; all "
     "places together give the answer exactly",
     true},
    {"ECE",
     "expected calibration error: of the answers that are given, or over all classes, each against "
     "the others, which is far smaller",
     false},
    {"familiarity",
     "a p-value that an image is like those the model learned from, by its density and by its "
     "distance from the class; 5 % of familiar images have 0.05 or less",
     true},
    {"flow",
     "a network that can be run backwards, so that it says how likely an image is and can draw "
     "some",
     true},
    {"FWHM", "full width at half maximum, here of how far the network's features see", false},
    {"held-out images",
     "training images that it did not learn from, and that choose the best checkpoint; test images "
     "are none of either",
     false},
    {"kappa",
     "how much surer of the wrong class than of any other, in nats, an attack must make the "
     "network; inf: as sure as it pays",
     false, true},
    {"L2, L-infinity",
     "sizes of a change, of values between 0 (black) and 1 (white): the root of the sum of squares "
     "over all values, and the largest of any value",
     false, true},
    {"log-density",
     "logarithm of how likely the model finds an image; two-sided tests mistrust images that are "
     "too unlikely and those that are too likely",
     true},
    {"nat", "unit of natural logarithms, 1.44 bits", false},
    {"noticed, flagged",
     "a test gives the image a p-value below 5 %; of clean images about 5 % are flagged too", true,
     true},
    {"OCE, overconfidence",
     "error rate among answers of at least some confidence over the rate that this confidence "
     "allows: 1 is honest, 10 is ten times as many errors",
     false},
    {"one-tailed, typicality, quantile",
     "three tests of foreign images by how likely they are: too unlikely alone; too far from the "
     "mean; in either tail of what training images have",
     true},
    {"seed", "what all chance in a training run follows from; other seeds show how much is chance",
     false},
    {"temperature",
     "how far samples are drawn from the middle of a class: 1 as the model has it, "
     "less is more ordinary",
     true},
    {"\u00b1", "one standard error; numbers that differ by less than two of them may be equal",
     false},
};

std::string seconds_text(const RunRecord& run) {
  const auto seconds = run.number("/train_seconds");
  return seconds ? fmt::format("{:.0f}", *seconds) : std::string("-");
}

std::string machine_text(const RunRecord& run) {
  std::string text = run.processor.empty() ? run.device : run.processor;
  if (!run.processor.empty() && run.device != "cpu" && !run.device.empty())
    text += ", " + run.device;
  if (run.threads > 0) text += fmt::format(", {} threads", run.threads);
  if (!run.precision.empty()) text += ", " + run.precision;
  return text.empty() ? "-" : text;
}

}  // namespace

HtmlSection about_section(const std::vector<RunRecord>& runs) {
  PageTable table;
  table.header = {"run", "network", "data", "beta", "seed", "epochs", "seconds", "on"};
  table.left = 3;
  table.words_last = true;
  std::string commands;
  size_t shown = 0;
  std::set<std::string> versions;
  for (const RunRecord& run : runs) {
    table.rows.push_back({run.name, run.arch, run.dataset.empty() ? "-" : run.dataset,
                          run.beta ? fmt::format("{:g}", *run.beta) : std::string("-"),
                          std::to_string(run.seed), fmt::format("{:g}", run.epochs),
                          seconds_text(run), machine_text(run)});
    if (!run.version.empty()) versions.insert(run.version);
    if (run.commands.empty() || shown >= kShownCommands) continue;
    ++shown;
    for (const std::string& command : run.commands) commands += html_lines(command);
  }
  table.caption = "Seconds of training, with its validations left out.";
  std::string body = table.html();
  if (shown > 0)
    body += html_paragraph(runs.size() == 1 ? "It was trained by:" : "The first was trained by:") +
            commands;
  for (const std::string& version : versions)
    body += html_paragraph(fmt::format("Trained by Palindrome {}.", version));
  return {"about", runs.size() == 1 ? "About this run" : "About these runs",
          "What was trained, on what, and how it can be done again.", body};
}

HtmlSection glossary_section(bool density, bool attacks) {
  PageTable table;
  table.left = 1;
  table.words_last = true;
  for (const Word& word : kWords)
    if ((density || !word.density) && (attacks || !word.attacks))
      table.rows.push_back({word.word, word.meaning});
  return {"glossary", "Words", "What the page calls things.", table.html()};
}

}  // namespace pal
