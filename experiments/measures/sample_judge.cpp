#include "experiments/measures/sample_judge.h"

#include <algorithm>

#include "experiments/measures/class_match.h"
#include "experiments/measures/picture_scores.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr int64_t kAtOnce = 100;

/// The flow's class for each class of the judge, by name, or by number where names are none.
std::vector<int64_t> matched_classes(const std::vector<std::string>& names,
                                     const std::vector<std::string>& others,
                                     const std::string& path) {
  expect(names.size() == others.size(), "--judge: {} knows {} classes, the samples have {}", path,
         others.size(), names.size());
  const bool by_number = are_numbers(names) || are_numbers(others);
  std::vector<int64_t> matched;
  for (size_t y = 0; y < others.size(); ++y) {
    const auto found = std::ranges::find(names, others[y]);
    expect(by_number || (std::ranges::count(names, others[y]) == 1 &&
                         std::ranges::count(others, others[y]) == 1),
           "--judge: the class '{}' of {} is {} of the samples' classes", others[y], path,
           found == names.end() ? "none" : "not one");
    matched.push_back(by_number ? static_cast<int64_t>(y) : found - names.begin());
  }
  return matched;
}

/// The best class of each picture, by the judge's numbers.
std::vector<int64_t> best_classes(LoadedModel& judge, const std::vector<Image>& pictures) {
  const int64_t classes = judge.model->config().classes;
  const Tensor scores = picture_scores(*judge.model, judge.input, pictures);
  std::vector<int64_t> best;
  for (int64_t i = 0; i < scores.size(0); ++i) {
    const float* row = scores.data<float>() + i * classes;
    best.push_back(std::max_element(row, row + classes) - row);
  }
  return best;
}

}  // namespace

std::vector<ClassVerdict> judge_samples(const IbInn& flow, const InputSpec& input,
                                        LoadedModel& judge, const std::string& judge_path,
                                        const SampleRequest& request) {
  const ModelConfig& made = flow.config();
  const ModelConfig& read = judge.model->config();
  expect(made.image_size == read.image_size && made.channels == read.channels,
         "--judge: {} reads images of {}x{}x{}, the samples are of {}x{}x{}", judge_path,
         read.image_size, read.image_size, read.channels, made.image_size, made.image_size,
         made.channels);
  const std::vector<int64_t> matched =
      matched_classes(model_class_names(input, made.classes),
                      model_class_names(judge.input, read.classes), judge_path);
  const auto classes = static_cast<int64_t>(request.classes.size());
  std::vector<ClassVerdict> verdicts;
  for (int64_t k = 0; k < classes; ++k) {
    ClassVerdict verdict;
    verdict.y = request.classes[static_cast<size_t>(k)];
    verdict.samples = request.count / classes + (k < request.count % classes ? 1 : 0);
    const ClassSpread& spread = request.spreads[static_cast<size_t>(k)];
    std::vector<int64_t> taken(matched.size());
    for (int64_t first = 0; first < verdict.samples; first += kAtOnce) {
      const int64_t count = std::min(kAtOnce, verdict.samples - first);
      const Tensor z =
          class_latents(spread, verdict.y, first, count, request.temperature, request.seed);
      for (const int64_t best : best_classes(judge, to_pictures(decode(flow, z), input)))
        ++taken[static_cast<size_t>(matched[static_cast<size_t>(best)])];
    }
    verdict.as_asked = std::exchange(taken[static_cast<size_t>(verdict.y)], 0);
    const auto rival = std::ranges::max_element(taken);
    if (*rival > 0) {
      verdict.rival = rival - taken.begin();
      verdict.taken_for_rival = *rival;
    }
    verdicts.push_back(verdict);
  }
  return verdicts;
}

}  // namespace pal
