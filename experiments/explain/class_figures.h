#pragma once
#include "experiments/explain/explain_options.h"
#include "experiments/explain/figure.h"
#include "layers/models/model_io.h"

namespace pal {

/// How alike classes are: distances of their means and the expected uncertainty between them (the
/// paper's Fig. 4 and 16). CSV: class_a, class_b, distance, uncertainty.
Figure similarity_figure(const ExplainOptions& options, const LoadedModel& loaded);

/// An image among the means of its likeliest classes (the paper's Fig. 3). CSV: what, along,
/// beside.
Figure decision_figure(const ExplainOptions& options, const LoadedModel& loaded);

/// What each component of the DCT pooling tells of the classes (the paper's Fig. 12), and the
/// accuracy with the most telling ones alone. CSV: vertical, horizontal, influence. Picture: the
/// components themselves (Fig. 11).
Figure dct_figure(const ExplainOptions& options, const LoadedModel& loaded);

}  // namespace pal
