#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <vector>

#include "experiments/command_line/parse_options.h"
#include "experiments/command_line/program.h"
#include "experiments/command_line/rank_program.h"
#include "experiments/evaluation/checkpoint_evaluation.h"
#include "experiments/measures/rank_rounds.h"
#include "experiments/report/evaluation_figures.h"

namespace {

using namespace pal;

constexpr const char* kName = "pal-evaluate";

void print_json(const std::vector<CheckpointReport>& reports) {
  std::vector<std::string> answers;
  answers.reserve(reports.size());
  for (const CheckpointReport& report : reports) answers.push_back(to_json(report));
  const std::string list = fmt::format("{}", fmt::join(answers, ",\n"));
  print_result(answers.size() == 1 ? list : "[" + list + "]");
}

int run(const EvaluateOptions& options) {
  const Device device = apply_run_options(options.run);
  EvaluatedSets sets(options);
  std::vector<CheckpointReport> reports;
  for (size_t i = 0; i < options.checkpoints.size(); ++i)
    reports.push_back(CheckpointEvaluation(options, device, i, sets).run());
  if (!is_first_rank(options.ranks)) return 0;
  if (!options.figures.empty()) write_figures(options.figures, reports);
  if (!options.summary.empty()) merge_summary(options.summary, reports[0]);
  if (options.run.json)
    print_json(reports);
  else
    print_result(to_text(reports));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(
      kName,
      [&] {
        OptionTable table(
            kName, "Accuracy, losses, bits/dim, calibration and outlier detection of models.");
        EvaluateOptions options;
        add_evaluate_options(table, options);
        if (parse_command_line(table, argc, argv).answered) return 0;
        finish_evaluate_options(options);
        return run_shared(kName, options.checkpoints.front(), options.run,
                          [&](Communicator* ranks) {
                            options.ranks = ranks;
                            return run(options);
                          });
      },
      pal::Processes::shared);
}
