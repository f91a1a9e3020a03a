#include <string>

#include "experiments/attack_study/attack_report.h"
#include "experiments/attack_study/attack_study.h"
#include "experiments/command_line/parse_options.h"
#include "experiments/command_line/program.h"
#include "experiments/command_line/rank_program.h"
#include "experiments/measures/rank_rounds.h"
#include "runtime/log.h"

namespace {

using namespace pal;

constexpr const char* kName = "pal-attack";

int run(const AttackOptions& options) {
  const Device device = apply_run_options(options.evaluation.run);
  const AttackStudy study = study_attacks(options, device);
  if (!is_first_rank(options.evaluation.ranks)) return 0;
  const AttackReport report = attack_report_of(study, options);
  const std::string json = to_json(report);
  if (!options.output.empty()) write_attacks(options, study, report, json);
  print_result(options.evaluation.run.json ? json : to_text(report));
  for (const std::string& warning : report.warnings) log_warning("{}", warning);
  if (!options.output.empty()) log_info("results in {}", options.output);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(
      kName,
      [&] {
        OptionTable table(
            kName,
            "How far an attacker must change an image until a model takes it for another class, "
            "and whether the model notices (the paper's Tables 7 to 9).\n\n"
            "  pal-attack run                                   the least change, 200 test images\n"
            "  pal-attack run --kappa 0.01,1,inf -d 0,66 -o run/attacks\n"
            "  pal-attack beta_1 resnet --attack pgd --norm l2 --eps 0.5,1\n"
            "  pal-attack run --robust-curve 0,0.01,0.03,0.1    robust accuracy, with and without "
            "a detector\n\n"
            "An attack that fails may be a weak attack: what speaks for that is printed as "
            "warnings.");
        AttackOptions options;
        options.evaluation.most_images = 200;
        add_attack_options(table, options);
        if (parse_command_line(table, argc, argv).answered) return 0;
        finish_attack_options(options);
        const std::string& output =
            options.output.empty() ? options.evaluation.checkpoints.front() : options.output;
        return run_shared(kName, output, options.evaluation.run, [&](Communicator* ranks) {
          options.evaluation.ranks = ranks;
          return run(options);
        });
      },
      pal::Processes::shared);
}
