#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "experiments/command_line/parse_options.h"
#include "experiments/command_line/program.h"
#include "experiments/command_line/rank_program.h"
#include "experiments/measures/rank_rounds.h"
#include "experiments/robustness/robustness_report.h"
#include "runtime/json.h"
#include "runtime/log.h"
#include "runtime/paths.h"

namespace {

using namespace pal;

constexpr const char* kName = "pal-robustness";

/// The reference that was asked for, or AlexNet's for ImageNet; none: no mCE.
std::optional<ReferenceErrors> chosen_reference(const RobustnessOptions& options,
                                                const std::vector<ModelStudy>& studies) {
  constexpr int64_t kImageNetClasses = 1000, kImageNetSize = 224;
  const bool imagenet = studies[0].answers == kImageNetClasses &&
                        studies[0].classes == kImageNetClasses &&
                        studies[0].image_size == kImageNetSize;
  if (options.reference == "alexnet" && !imagenet)
    log_warning("--mce-reference alexnet: its errors are those of ImageNet-C, not of {}",
                studies[0].dataset);
  if (!options.reference.empty()) return reference_of(options.reference);
  return imagenet && options.severities.size() == kSeverities ? std::optional(alexnet_errors())
                                                              : std::nullopt;
}

/// Whether frost was laid on without photographs, also in a tree, as far as it says so.
bool frost_is_texture(const RobustnessOptions& options) {
  if (options.tree.empty()) return options.corruption.frost_pictures == nullptr;
  const std::string record = options.tree + "/corruptions.json";
  if (!path_exists(record)) return false;
  const nlohmann::json file(parse_json_file(record));
  return file.is_object() && file.contains("frost") && file.at("frost") == "procedural";
}

int run(const RobustnessOptions& options) {
  const Device device = apply_run_options(options.evaluation.run);
  const auto studies = study_robustness(options, device);
  if (!is_first_rank(options.evaluation.ranks)) return 0;
  const auto reference = chosen_reference(options, studies);
  const ReferenceErrors* const errors = reference ? &*reference : nullptr;
  const bool texture = frost_is_texture(options);
  std::vector<RobustnessReport> reports;
  for (const ModelStudy& study : studies) reports.push_back(report_of(study, errors, texture));
  const std::string json = to_json(reports, errors, texture);
  if (!options.output.empty()) write_robustness(options.output, reports, json);
  print_result(options.evaluation.run.json ? json : to_text(reports, errors));
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
            "What corruptions do to models: errors by kind and severity, mCE, and whether "
            "corrupted "
            "images are told from clean ones by their density (the paper's Table 3).\n\n"
            "  pal-robustness run -n 2000 -o run/robustness    corrupts the test images in memory\n"
            "  pal-robustness beta_0 beta_1 resnet -n 2000 --mce-reference net.csv\n"
            "  pal-robustness run --tree ImageNet-C            pictures as published sets have "
            "them");
        RobustnessOptions options;
        add_robustness_options(table, options);
        if (parse_command_line(table, argc, argv).answered) return 0;
        finish_robustness_options(options);
        const std::string& output =
            options.output.empty() ? options.evaluation.checkpoints.front() : options.output;
        return run_shared(kName, output, options.evaluation.run, [&](Communicator* ranks) {
          options.evaluation.ranks = ranks;
          return run(options);
        });
      },
      pal::Processes::shared);
}
