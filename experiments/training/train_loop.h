#pragma once
#include <chrono>
#include <deque>

#include "experiments/report/run_log.h"
#include "experiments/training/best_model.h"
#include "experiments/training/inversion_monitor.h"
#include "experiments/training/loss_watch.h"
#include "experiments/training/run_checkpoints.h"
#include "experiments/training/run_pace.h"
#include "experiments/training/stop_signal.h"
#include "experiments/training/train_report.h"
#include "layers/training/fault_search.h"
#include "layers/training/train_step.h"

namespace pal {

/// The loop of a training run: steps, what comes between them, and the end.
class TrainLoop {
 public:
  /// Keeps references to what it is given; goes on from `state`.
  TrainLoop(TrainSetup& setup, RunState& state, const RunFolder& folder,
            RunCheckpoints& checkpoints, ProgressLine& line);

  /// Runs to the end, a limit or a signal; returns the exit code. After an error the summary says
  /// where it was.
  int run();

 private:
  using Time = std::chrono::steady_clock::time_point;

  /// A step that was asked for.
  struct Launched {
    int64_t step = 0;  ///< counted from 1
    double learning_rate = 0.0;
    InversionCheck check;  ///< of a step that was watched
  };

  /// Asks the device for the next step.
  void launch_step();
  StepInput step_input(int64_t step, int part);
  /// Takes the result of the oldest step that was launched: checks and records it.
  void collect_step(double seconds);
  /// Warns of a step that was not taken, and stops the run if it was one too many.
  void note_skipped(const Launched& launched, const StepResult& result);
  /// Warns once of a loss that has climbed above where it began.
  void note_climbing(int64_t step);
  /// What a person should know at the end of a run that did not fail.
  void warn_at_end() const;
  /// Collects until at most `most` steps are under way.
  void collect_down_to(int most, Time since);
  /// Runs `body`; its numerical errors name the training step, counted from 1, and say what to do.
  template <typename Body>
  void guarded(int64_t step, Body&& body) const;
  /// Looks for what is not finite in a step, and stops the run with it.
  [[noreturn]] void fail_halted(const Launched& launched);
  /// What became of the loss, and what can be done about steps that fail from this one on.
  std::string advice(int64_t step, Fault::Place place) const;

  /// From the best weights on, the class means alone are trained.
  void start_finetune();
  /// Validates, looks at a sample or saves, where a period of any of them ends with this step.
  /// Collects the steps under way first, as those need the weights as they are.
  void end_step(Time launched_at);
  /// Validates after the step that was just taken; the state knows of it until it is done.
  void validate();
  /// What speaks for a stop before the next step.
  struct Wishes {
    int signal = 0;
    bool out_of_time = false;
  };
  /// That of any rank, the same on all of them.
  Wishes agreed_wishes();
  /// Steps until there is a reason to stop.
  StopReason take_steps();
  /// What is due when steps end: weights, and their average, with statistics averaged anew,
  /// validated and saved.
  void finish(StopReason reason);
  /// Averages the statistics of the weights that the model holds, where that is wanted; validates
  /// and saves them under a name. Returns whether their losses were finite.
  bool finish_weights(const std::string& name, StopReason reason);
  RunEnd run_end(StopReason reason) const;
  void report_error() const;
  void save_step();
  /// Expected seconds of the next step with what follows it but a validation.
  double next_step_seconds() const;
  bool averages() const;
  /// Whether the class means, or a ResNet's linear layer, learn alone.
  bool trains_head() const;

  /// Switches the profiler on for a step.
  void begin_profiled_step();
  void finish_profile() const;

  int64_t current_step() const { return state_.progress.step; }
  /// Steps between two checkpoints.
  int64_t checkpoint_period() const;
  /// Seconds that the run has taken, earlier processes included.
  double elapsed() const;

  TrainSetup& setup_;
  const TrainOptions& options_;
  RunState& state_;
  const RunFolder& folder_;
  RunCheckpoints& checkpoints_;
  ProgressLine& line_;
  MetricsFile metrics_;
  StopSignal signal_;
  BestModel best_;
  RunPace pace_;
  InversionMonitor monitor_;
  TrainStep step_;
  std::deque<Launched> launched_;

  Time start_;
  MetricsHistory before_;  // earlier processes of the run
  StepTimes times_;
  int64_t saved_step_;      // of the newest step checkpoint
  int64_t first_step_;      // where this process begins
  int64_t collected_step_;  // the last one whose result was good
  LossWatch watch_;         // of the losses of this process
  bool warned_ = false;     // that they climb
  double last_loss_ = 0.0;  // of the last step that was taken
  int64_t taken_ = 0;       // steps of this process that were
  double last_norm_ = 0.0;  // of their gradients
  double mean_norm_ = 0.0;  // of the last ones
  int64_t skipped_ = 0;     // steps of this process that were not taken
  StepTimes unprofiled_;    // up to where the profile began
};

}  // namespace pal
