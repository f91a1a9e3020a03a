#include "experiments/pages/report_page.h"

#include <fmt/format.h>

#include "experiments/evaluation/checkpoint_evaluation.h"
#include "experiments/pages/answer_sections.h"
#include "experiments/pages/model_card.h"
#include "experiments/pages/picture_sections.h"
#include "experiments/pages/reading.h"
#include "experiments/pages/run_sections.h"
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

EvaluateOptions evaluation_of(const ReportOptions& o, const std::string& checkpoint) {
  EvaluateOptions options;
  options.checkpoints = {checkpoint};
  options.data = o.data;
  options.run = o.run;
  options.ood = o.ood;
  options.most_images = o.images;
  return options;
}

ReportPage page_of_one(const ReportOptions& o, const RunRecord& run, Device device) {
  const std::string checkpoint = checkpoint_of(run.path);
  const EvaluateOptions evaluation = evaluation_of(o, checkpoint);
  EvaluatedSets sets(evaluation);
  const CheckpointReport report = CheckpointEvaluation(evaluation, device, 0, sets).run();
  const LoadedModel loaded = load_for_run(checkpoint, o.run, device);
  const auto names = model_class_names(loaded.input, loaded.model->config().classes);
  const PicturedRun pictured{loaded, report, checkpoint, o.data, o.run};
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
  if (density && classes && names.size() >= 2) {
    sections.push_back(evidence_section(pictured));
    sections.push_back(decision_section(pictured));
    sections.push_back(similarity_section(pictured));
  }
  ReportPage page;
  page.html = html_page(run.name, subtitle_of(run, report), sections);
  if (o.card) page.card = model_card(run, report, names, reading);
  return page;
}

ReportPage page_of_several(const std::vector<RunRecord>& runs) {
  std::vector<HtmlSection> sections;
  if (auto sweep = sweep_section(runs)) sections.push_back(std::move(*sweep));
  sections.push_back(comparison_section(runs));
  sections.push_back(curves_section(runs));
  return {html_page(fmt::format("{} runs", runs.size()), "side by side", sections), {}};
}

}  // namespace

ReportPage make_report(const ReportOptions& o, Device device) {
  std::vector<RunRecord> runs;
  for (const std::string& path : o.runs) runs.push_back(read_run(path));
  if (runs.size() > 1) return page_of_several(runs);
  return page_of_one(o, runs[0], device);
}

}  // namespace pal
