#include <fmt/format.h>

#include <optional>
#include <vector>

#include "experiments/command_line/parse_options.h"
#include "experiments/command_line/program.h"
#include "experiments/robustness/robustness_report.h"
#include "runtime/log.h"

namespace {

using namespace pal;

constexpr const char* kName = "pal-robustness";

/// The reference that was asked for, or AlexNet's for ImageNet; none: no mCE.
std::optional<ReferenceErrors> chosen_reference(const RobustnessOptions& options,
                                                const std::vector<ModelStudy>& studies) {
  if (!options.reference.empty()) return reference_of(options.reference);
  constexpr int64_t kImageNetClasses = 1000, kImageNetSize = 224;
  const bool imagenet = studies[0].classes == kImageNetClasses &&
                        studies[0].image_size == kImageNetSize &&
                        options.severities.size() == kSeverities;
  return imagenet ? std::optional(alexnet_errors()) : std::nullopt;
}

int run(const RobustnessOptions& options) {
  const Device device = apply_run_options(options.evaluation.run);
  const auto studies = study_robustness(options, device);
  const auto reference = chosen_reference(options, studies);
  const ReferenceErrors* const errors = reference ? &*reference : nullptr;
  std::vector<RobustnessReport> reports;
  for (const ModelStudy& study : studies) reports.push_back(report_of(study, errors));
  const bool texture = options.tree.empty() && options.corruption.frost_pictures == nullptr;
  const std::string json = to_json(reports, errors, texture);
  if (!options.output.empty()) write_robustness(options.output, reports, json);
  print_result(options.evaluation.run.json ? json : to_text(reports, errors, texture));
  if (!options.output.empty()) log_info("results in {}", options.output);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(kName, [&] {
    OptionTable table(
        kName,
        "What corruptions do to models: errors by kind and severity, mCE, and whether corrupted "
        "images are told from clean ones by their density (the paper's Table 3).\n\n"
        "  pal-robustness run -n 2000 -o run/robustness    corrupts the test images in memory\n"
        "  pal-robustness beta_0 beta_1 resnet -n 2000 --reference resnet/errors.csv\n"
        "  pal-robustness run --tree ImageNet-C            pictures as published sets have them");
    RobustnessOptions options;
    add_robustness_options(table, options);
    if (parse_command_line(table, argc, argv).answered) return 0;
    finish_robustness_options(options);
    return run(options);
  });
}
