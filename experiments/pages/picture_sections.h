#pragma once
#include <vector>

#include "experiments/command_line/data_options.h"
#include "experiments/command_line/run_options.h"
#include "experiments/pages/html.h"
#include "experiments/report/evaluation_report.h"
#include "layers/models/model_io.h"

namespace pal {

/// A model and the images to show it.
struct ShownModel {
  const LoadedModel& loaded;
  std::string checkpoint;
  DataOptions data;
  RunOptions run;
};

/// What the sections with pictures need of a run.
struct PicturedRun : ShownModel {
  const CheckpointReport& report;
};

/// Temperature at which samples are drawn.
inline constexpr double kSampleTemperature = 0.7;
/// Samples of up to 10 classes, so many each, where training images lie if these are to be had;
/// beside up to `real` test images of each class.
Image samples_picture(const ShownModel& model, int64_t each, int64_t real);

/// Some images that the model is sure of and right about, one of each of several classes, and those
/// that it is surest of and wrong: by their places in the set.
struct Examples {
  std::vector<int64_t> right, wrong;
};
Examples examples_of(const std::vector<ImageResult>& results, size_t each);

/// Pictures that the model makes.
HtmlSection samples_section(const PicturedRun& run);
/// Where its answers come from, of examples that it got right and wrong.
HtmlSection evidence_section(const PicturedRun& run);
/// Examples among the means of their likeliest classes.
HtmlSection decision_section(const PicturedRun& run);
/// Which classes are alike.
HtmlSection similarity_section(const PicturedRun& run);

}  // namespace pal
