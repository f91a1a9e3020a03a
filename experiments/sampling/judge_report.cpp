#include "experiments/sampling/judge_report.h"

#include <fmt/format.h>

#include <filesystem>

#include "experiments/measures/class_match.h"
#include "experiments/measures/evaluation.h"
#include "experiments/measures/model_fit.h"
#include "experiments/measures/sample_judge.h"
#include "experiments/report/text_table.h"
#include "experiments/sampling/sample_sheets.h"
#include "experiments/sampling/test_images.h"
#include "layers/checkpoint/run_folder.h"
#include "runtime/log.h"

namespace pal {
namespace {

std::string percent(int64_t part, int64_t all) {
  return all == 0
             ? "-"
             : fmt::format("{:.1f}", 100.0 * static_cast<double>(part) / static_cast<double>(all));
}

/// How many test images of each class there are, and how many of them the judge gets right.
struct RealImages {
  std::vector<int64_t> images;
  std::vector<int64_t> right;
};

RealImages judge_real_images(const SampleOptions& o, const LoadedModel& loaded,
                             const LoadedModel& judge) {
  const TestImages from = open_test_images(o.data, o.checkpoint, loaded);
  expect_images_fit(judge, o.judge, from.set->info());
  EvaluationSpec spec;
  spec.noise = false;
  spec.indices = from.indices;
  spec.transform = from.transform;
  const ClassMatch match = match_classes(judge, o.judge, from.set->info(), false);
  spec.class_of_label = match.class_of_label;
  // By the classes of the samples, as which the rows are counted.
  const ClassMatch own = match_classes(loaded, o.checkpoint, from.set->info(), false);
  const auto classes = static_cast<size_t>(loaded.model->config().classes);
  RealImages real{std::vector<int64_t>(classes), std::vector<int64_t>(classes)};
  spec.observe = [&](const ImageResult& image, const ClassScores&) {
    const auto y = static_cast<size_t>(own.model_class(from.set->label(image.index)));
    ++real.images[y];
    real.right[y] += image.predicted == image.label ? 1 : 0;
  };
  evaluate_model(*judge.model, judge.input, *from.set, spec);
  return real;
}

}  // namespace

JudgeReport ask_judge(const SampleOptions& o, const LoadedModel& loaded,
                      const std::vector<ClassSpread>& spreads, Device device) {
  const std::string path = checkpoint_of(o.judge);
  std::error_code ignored;
  if (std::filesystem::equivalent(path, checkpoint_of(o.checkpoint), ignored))
    log_warning("--judge: is the model itself, which takes its samples for what it meant by them");
  LoadedModel judge = load_model(path);
  judge.model->to(device);
  const SampleRequest request{sampled_classes(o, loaded), o.judged, o.temperatures.front(),
                              o.run.seed, spreads};
  const auto verdicts =
      judge_samples(flow_of(loaded, o.checkpoint), loaded.input, judge, path, request);
  const RealImages real = judge_real_images(o, loaded, judge);
  const auto names = model_class_names(loaded.input, loaded.model->config().classes);
  TextTable table({"class", "samples", "as asked, %", "mostly else", "%", "test images right, %"});
  auto rows = nlohmann::ordered_json::array();
  ClassVerdict all;
  int64_t images = 0;
  int64_t right = 0;
  for (const ClassVerdict& v : verdicts) {
    const auto y = static_cast<size_t>(v.y);
    const std::string rival = v.rival < 0 ? "-" : names[static_cast<size_t>(v.rival)];
    table.add({names[y], fmt::format("{}", v.samples), percent(v.as_asked, v.samples), rival,
               percent(v.taken_for_rival, v.samples), percent(real.right[y], real.images[y])});
    nlohmann::ordered_json row = {{"class", names[y]},
                                  {"samples", v.samples},
                                  {"as_asked", v.as_asked},
                                  {"test_images", real.images[y]},
                                  {"test_images_right", real.right[y]}};
    if (v.rival >= 0) row["mostly_else"] = {{"class", rival}, {"samples", v.taken_for_rival}};
    rows.push_back(std::move(row));
    all.samples += v.samples;
    all.as_asked += v.as_asked;
    images += real.images[y];
    right += real.right[y];
  }
  table.add({"all", fmt::format("{}", all.samples), percent(all.as_asked, all.samples), "", "",
             percent(right, images)});
  const auto share = [](int64_t part, int64_t whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
  };
  JudgeReport report;
  report.json = {{"judge", path},
                 {"samples", all.samples},
                 {"as_asked", share(all.as_asked, all.samples)},
                 {"test_images_right", share(right, images)},
                 {"classes", std::move(rows)}};
  report.text = fmt::format("what {} takes samples for, temperature {}:\n{}", path,
                            o.temperatures.front(), table.text());
  return report;
}

}  // namespace pal
