#pragma once
#include <string>

#include "experiments/measures/sampling.h"
#include "experiments/sampling/sample_options.h"
#include "layers/models/model_io.h"
#include "runtime/json.h"

namespace pal {

/// What another model says of samples (--judge): for machines and as a table.
struct JudgeReport {
  nlohmann::ordered_json json;
  std::string text;
};

/// Loads the judge onto `device`, shows it samples of the model's classes, drawn as `spreads` say,
/// and the test images of the model's data. Throws as load_model, judge_samples and
/// open_test_images.
JudgeReport ask_judge(const SampleOptions& options, const LoadedModel& loaded,
                      const std::vector<ClassSpread>& spreads, Device device);

}  // namespace pal
