#pragma once
#include <vector>

#include "experiments/measures/evaluation.h"
#include "experiments/report/run_log.h"
#include "experiments/training/run_checkpoints.h"

namespace pal {

/// Chooses the best model of a run: validates, keeps the checkpoints of the lowest validation
/// cross-entropy (best-ce) and of the lowest L_X (best-nll), and reports each
/// validation to the plateau rule. The link `best` follows L_X for a density that weighs more than
/// the classes (beta < 0.5), else the cross-entropy.
class BestModel {
 public:
  /// Keeps references to all of them.
  BestModel(TrainSetup& setup, RunState& state, RunCheckpoints& checkpoints, MetricsFile& metrics,
            ProgressLine& line)
      : setup_(setup), state_(state), checkpoints_(checkpoints), metrics_(metrics), line_(line) {}

  /// Evaluates the validation images, `seconds` after the start of the run, and saves what is best.
  /// A stage of the plateau schedule that ends here leaves the model with the best weights.
  void validate(double seconds);
  /// A look at a fixed sample of the validation images, for metrics.jsonl alone.
  void check_sample(double seconds);

 private:
  EvaluationResult evaluate(std::vector<int64_t> images);
  MetricsRow row_at(const char* kind, double seconds) const;
  void choose(const EvaluationSummary& result);

  TrainSetup& setup_;
  RunState& state_;
  RunCheckpoints& checkpoints_;
  MetricsFile& metrics_;
  ProgressLine& line_;
};

}  // namespace pal
