#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/evaluation/checkpoint_evaluation.h"
#include "experiments/measures/detection.h"
#include "experiments/robustness/foreign_scores.h"
#include "experiments/robustness/ood_options.h"

namespace pal {

/// The scores of a set's images; rows and columns in the order of the comparison's scores.
struct ScoredSet {
  std::string name;   ///< as it was given, or what it is
  std::string label;  ///< the same in short, for tables and pictures
  std::string group;  ///< of a suite; empty: none
  std::vector<ImageStatistics> images;
  std::vector<std::string> image_names;
  std::vector<std::vector<double>> values;  ///< a list for each score

  int64_t count() const { return static_cast<int64_t>(images.size()); }
};

/// A foreign set beside the familiar ones: a row for each score.
struct ForeignSet {
  ScoredSet scored;
  struct Row {
    Detection against_test;      ///< the negatives are the evaluated images
    Detection against_training;  ///< the negatives are the reference
  };
  std::vector<Row> rows;
};

/// All that pal-ood says about a model.
struct OodComparison {
  std::string checkpoint;
  std::string dataset;
  std::string part;  ///< of it, that is evaluated: test, val, held-out, ...
  ChoseCheckpoint chose = ChoseCheckpoint::no;
  std::optional<double> beta;
  bool has_density = false;
  std::vector<ForeignScore> scores;  ///< the headline first
  std::optional<ForeignReference> reference;
  ScoredSet test, training;
  std::vector<ForeignSet> sets;
};

/// Opens every set, then scores all of them. Throws usage and data naming --against, --suite or
/// --scores for what does not fit the model. Warns of foreign sets that are the model's own.
OodComparison compare_foreign(const OodOptions& options, Device device);

/// Mean rows of the sets of a group; none for a group without sets.
std::vector<ForeignSet::Row> mean_rows(const OodComparison& comparison, const std::string& group);

}  // namespace pal
