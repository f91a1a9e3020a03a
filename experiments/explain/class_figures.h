#pragma once
#include <string>
#include <vector>

#include "experiments/explain/explain_options.h"
#include "layers/models/model_io.h"

namespace pal {

/// A figure about classes: pictures and tables by file name, and what to say on stdout.
struct ClassFigure {
  std::string svg;
  std::string csv;
  std::vector<std::string> lines;
};

/// How alike classes are: distances of their means and the expected uncertainty between them (the
/// paper's Fig. 4 and 16). CSV: class_a, class_b, distance, uncertainty.
ClassFigure similarity_figure(const ExplainOptions& options, const LoadedModel& loaded);

/// An image among the means of its likeliest classes (the paper's Fig. 3). CSV: what, along, beside.
ClassFigure decision_figure(const ExplainOptions& options, const LoadedModel& loaded);

/// What each component of the DCT pooling tells of the classes (the paper's Fig. 12), and the accuracy
/// with the most telling ones alone. CSV: vertical, horizontal, influence.
ClassFigure dct_figure(const ExplainOptions& options, const LoadedModel& loaded);

}  // namespace pal
