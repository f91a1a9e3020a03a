#pragma once
#include <vector>

#include "experiments/command_line/data_options.h"
#include "experiments/command_line/run_options.h"
#include "experiments/pages/html.h"
#include "experiments/report/evaluation_report.h"
#include "layers/models/model_io.h"

namespace pal {

/// What the sections with pictures need of a run.
struct PicturedRun {
  const LoadedModel& loaded;
  const CheckpointReport& report;
  std::string checkpoint;
  DataOptions data;
  RunOptions run;
};

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
