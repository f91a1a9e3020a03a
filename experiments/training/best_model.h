#pragma once
#include <optional>
#include <vector>

#include "experiments/measures/evaluation.h"
#include "experiments/report/run_log.h"
#include "experiments/training/run_checkpoints.h"
#include "experiments/training/stop_signal.h"

namespace pal {

/// Chooses the best model of a run: validates its weights and their average, if there is one, keeps
/// the checkpoints of the lowest validation cross-entropy (best-ce) and of the lowest L_X
/// (best-nll), and reports each validation to the plateau rule. The link `best` follows L_X for a
/// density that weighs more than the classes (beta < 0.5), else the cross-entropy.
class BestModel {
 public:
  /// Keeps references to all of them.
  BestModel(TrainSetup& setup, RunState& state, RunCheckpoints& checkpoints, MetricsFile& metrics,
            ProgressLine& line, const StopSignal& signal)
      : setup_(setup),
        state_(state),
        checkpoints_(checkpoints),
        metrics_(metrics),
        line_(line),
        signal_(signal) {}

  /// Evaluates the validation images, `seconds` after the start of the run, and saves what is best.
  /// A stage of the plateau schedule that ends here leaves the model with the best weights. Throws
  /// Interrupted at a signal, before anything is changed.
  /// A step of the run takes `step_seconds` now.
  void validate(double seconds, double step_seconds);
  /// The validation at the end of a process, of weights that metrics call `model`, which stay as
  /// they are: chooses as validate() if the run is complete. Else says whether the model is better
  /// than the best one, those of this end included, and changes no checkpoint, since a resumed run
  /// does not know of it. Nothing, and a warning, if a loss is not finite.
  struct EndResult {
    bool better = false;
  };
  std::optional<EndResult> validate_end(double seconds, const std::string& model, bool complete);
  /// A look at a fixed sample of the validation images, for metrics.jsonl alone.
  void check_sample(double seconds);
  /// What the last validation of one set of weights took, in steps of the run; 0 before the first.
  double last_steps() const { return steps_; }

 private:
  /// `stoppable`: a signal ends it with Interrupted.
  EvaluationResult evaluate(std::vector<int64_t> images, bool stoppable);
  MetricsRow row_at(const char* kind, double seconds) const;
  /// Evaluates the validation images with these weights; nothing, and a warning, if a loss is not
  /// finite. Throws Interrupted at a signal.
  std::optional<EvaluationResult> evaluate_all(Weights weights);
  /// The same of the weights that the model holds.
  std::optional<EvaluationResult> evaluate_held();
  /// What a validation found of the weights that train or of their average.
  struct Candidate {
    Weights weights = Weights::raw;
    ValidationRecord record;
  };
  /// Logs and records a validation of such weights, which metrics call `model`; empty: a scheduled
  /// one.
  Candidate candidate(const EvaluationResult& evaluated, Weights weights, double seconds,
                      const std::string& model);
  /// Saves what is best of weights validated at the same step; `scheduled`: and tells the plateau
  /// rule.
  void choose(const std::vector<Candidate>& candidates, bool scheduled);
  /// Saves a candidate as what it is best at.
  void save(const Candidate& candidate, bool by_entropy, bool by_density);

  TrainSetup& setup_;
  RunState& state_;
  RunCheckpoints& checkpoints_;
  MetricsFile& metrics_;
  ProgressLine& line_;
  const StopSignal& signal_;
  double seconds_ = 0.0;  // of the last evaluation of all validation images
  double steps_ = 0.0;
  std::optional<double> best_at_end_;  // the lowest loss of validate_end() that chooses
};

}  // namespace pal
