#include "experiments/command_line/parse_options.h"
#include "experiments/command_line/program.h"
#include "experiments/command_line/rank_program.h"
#include "experiments/measures/rank_rounds.h"
#include "experiments/robustness/ood_figures.h"
#include "experiments/robustness/ood_report.h"
#include "layers/checkpoint/checkpoint.h"

namespace {

using namespace pal;

constexpr const char* kName = "pal-ood";

int run(OodOptions options) {
  const Device device = apply_run_options(options.evaluation.run);
  options.evaluation.checkpoints = {checkpoint_of(options.checkpoint)};
  const OodComparison comparison = compare_foreign(options, device);
  if (!is_first_rank(options.evaluation.ranks)) return 0;
  if (!options.figures.empty()) write_ood_figures(options.figures, comparison);
  print_result(options.evaluation.run.json ? to_json(comparison) : to_text(comparison));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(
      kName,
      [&] {
        OptionTable table(
            kName,
            "How well a model tells foreign images from those that it knows, by ten scores.\n\n"
            "  pal-ood run --against digits noise inverted\n"
            "  pal-ood run --against photos silhouettes-idx3-ubyte.gz -o foreign\n"
            "  pal-ood run --suite suite.toml --json > foreign.json\n"
            "  pal-train --dataset fashion-mnist --exclude-classes coat,bag -o without\n"
            "  pal-ood without --against heldout:coat,bag\n\n"
            "Each score is the higher the more foreign an image is. An AUC of 100 tells all, of 50 "
            "none, "
            "and below it foreign images look more familiar than the model's own.");
        OodOptions options;
        add_ood_options(table, options);
        if (parse_command_line(table, argc, argv).answered) return 0;
        finish_ood_options(options);
        return run_shared(kName, options.checkpoint, options.evaluation.run,
                          [&](Communicator* ranks) {
                            options.evaluation.ranks = ranks;
                            return run(options);
                          });
      },
      pal::Processes::shared);
}
