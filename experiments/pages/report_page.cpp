#include "experiments/pages/report_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "experiments/command_line/run_data.h"
#include "experiments/evaluation/checkpoint_evaluation.h"
#include "experiments/pages/answer_sections.h"
#include "experiments/pages/attack_section.h"
#include "experiments/pages/closing_sections.h"
#include "experiments/pages/foreign_section.h"
#include "experiments/pages/model_card.h"
#include "experiments/pages/picture_sections.h"
#include "experiments/pages/reading.h"
#include "experiments/pages/robustness_section.h"
#include "experiments/pages/run_sections.h"
#include "experiments/pages/side_by_side.h"
#include "experiments/pages/sweep_section.h"
#include "layers/checkpoint/checkpoint.h"
#include "runtime/error.h"
#include "runtime/log.h"

namespace pal {
namespace {

std::string subtitle_of(const RunRecord& run, const CheckpointReport& report) {
  std::string text = run.arch;
  if (run.flow && run.beta)
    text += fmt::format(
        ", beta {:g} (0: trained for the likelihood of images alone; high: "
        "for naming them alone)",
        *run.beta);
  return fmt::format("{}, {} classes, evaluated on {}", text, report.classes, report.dataset);
}

EvaluateOptions evaluation_of(const ReportOptions& o, const std::string& checkpoint,
                              const DataOptions& data) {
  EvaluateOptions options;
  options.checkpoints = {checkpoint};
  options.data = data;
  options.run = o.run;
  options.ood = o.ood;
  options.most_images = o.images;
  return options;
}

ReportPage page_of_one(const ReportOptions& o, const RunRecord& run, Device device) {
  const std::string checkpoint = checkpoint_of(run.path);
  DataOptions data = o.data;
  take_run_data(data, checkpoint, run.dataset);
  const EvaluateOptions evaluation = evaluation_of(o, checkpoint, data);
  EvaluatedSets sets(evaluation);
  const CheckpointReport report = CheckpointEvaluation(evaluation, device, 0, sets).run();
  const LoadedModel loaded = load_for_run(checkpoint, o.run, device);
  const auto names = model_class_names(loaded.input, loaded.model->config().classes);
  const PicturedRun pictured{{loaded, checkpoint, data, o.run}, report};
  const bool density = report.noisy.has_density;
  const bool classes = run.beta != 0.0;
  std::vector<HtmlSection> sections;
  const std::vector<std::string> reading = plain_reading(run, report, names);
  sections.push_back({"summary", "In short", "What the rest of this page shows, in sentences.",
                      html_list(reading)});
  if (classes) sections.push_back(numbers_section(report));
  sections.push_back(curves_section({run}));
  if (classes) {
    sections.push_back(calibration_section(report, run));
    sections.push_back(confusion_section(report, names));
  }
  if (density) {
    sections.push_back(density_section(report, run));
    sections.push_back(samples_section(pictured));
  }
  if (auto foreign = foreign_section(run)) sections.push_back(std::move(*foreign));
  if (density && classes && names.size() >= 2) {
    sections.push_back(evidence_section(pictured));
    sections.push_back(decision_section(pictured));
    sections.push_back(similarity_section(pictured));
  }
  if (auto worse = robustness_section(run, pictured)) sections.push_back(std::move(*worse));
  auto attacks = attack_section(run);
  const bool attacked = attacks.has_value();
  if (attacked) sections.push_back(std::move(*attacks));
  sections.push_back(about_section({run}));
  sections.push_back(glossary_section(density, attacked));
  ReportPage page;
  page.html = html_page(run.name, subtitle_of(run, report), sections);
  if (o.card) page.card = model_card(run, report, names, reading);
  return page;
}

std::string title_of(const std::vector<RunRecord>& runs) {
  const std::string& dataset = runs[0].dataset;
  const bool alike =
      std::ranges::all_of(runs, [&](const RunRecord& run) { return run.dataset == dataset; });
  return fmt::format("{} runs{}", runs.size(),
                     alike && !dataset.empty() ? " on " + dataset : std::string());
}

ReportPage page_of_several(const ReportOptions& o, std::vector<RunRecord> runs, Device device) {
  std::vector<HtmlSection> sections;
  if (auto sweep = sweep_section(runs)) {
    sections.push_back(std::move(*sweep));
    std::ranges::stable_sort(runs, [](const RunRecord& a, const RunRecord& b) {
      return std::tuple(!a.flow, a.beta, a.seed) < std::tuple(!b.flow, b.beta, b.seed);
    });
  }
  sections.push_back(comparison_section(runs));
  sections.push_back(curves_section(runs));
  if (auto worse = robustness_comparison(runs)) sections.push_back(std::move(*worse));
  auto attacks = attack_comparison(runs);
  const bool attacked = attacks.has_value();
  if (attacked) sections.push_back(std::move(*attacks));
  for (HtmlSection& section : pictures_side_by_side(runs, o, device))
    sections.push_back(std::move(section));
  sections.push_back(about_section(runs));
  sections.push_back(glossary_section(std::ranges::any_of(runs, &RunRecord::flow), attacked));
  return {html_page(title_of(runs), "What each is worth, side by side.", sections), {}};
}

}  // namespace

ReportPage make_report(const ReportOptions& o, Device device) {
  std::vector<RunRecord> runs;
  for (const std::string& path : o.runs) runs.push_back(read_run(path));
  if (runs.size() > 1) return page_of_several(o, std::move(runs), device);
  return page_of_one(o, runs[0], device);
}

}  // namespace pal
