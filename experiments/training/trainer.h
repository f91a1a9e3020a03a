#pragma once
#include <chrono>
#include <deque>
#include <memory>
#include <string>

#include "experiments/measures/evaluation.h"
#include "experiments/planning/roofs.h"
#include "experiments/report/run_log.h"
#include "experiments/training/stop_signal.h"
#include "experiments/training/train_data.h"
#include "layers/checkpoint/run_folder.h"
#include "layers/models/model_io.h"
#include "layers/training/train_step.h"

namespace pal {

/// One training run in one folder: steps, validation, checkpoints, metrics.
class Trainer {
 public:
  /// Loads the data, builds the model and (unless it is a dry run) takes the run folder.
  explicit Trainer(const TrainOptions& options);

  /// Prints what would run: shapes, parameters, memory.
  void print_plan() const;

  /// Runs to the end, a limit or a signal; returns the exit code.
  int run(const std::string& command, const std::string& config_text);

 private:
  /// A step that was asked for.
  struct Launched {
    int64_t step = 0;  ///< counted from 1
    double learning_rate = 0.0;
  };

  /// Gives the blocks their policies and anchors.
  void set_up_memory();
  void resume();
  void check_resume(const Checkpoint& checkpoint, const std::string& path) const;
  void write_run_file(const std::string& command) const;
  void log_start() const;

  /// Switches the profiler on for a step.
  void begin_profiled_step();
  void print_profile() const;
  bool wants_graph() const;
  /// Asks the device for the next step.
  void launch_step();
  /// Takes the result of the oldest step that was launched: checks and records it.
  void collect_step(double seconds);
  /// Collects until at most `most` steps are under way.
  void collect_down_to(int most, std::chrono::steady_clock::time_point since);
  StepInput step_input(int64_t step);
  /// Runs the model; numerical errors name the training step.
  template <typename Body>
  void guarded(int64_t step, Body&& body) const;
  bool watch_inversion();
  void judge_inversion(int64_t step);
  [[noreturn]] void fail_not_finite(const Launched& launched, const StepResult& result);
  void record_step(const Launched& launched, const StepResult& result, double seconds);
  std::string progress_text(const StepResult& result) const;

  EvaluationResult evaluate(std::vector<int64_t> images);
  /// A look at a fixed sample of the validation images.
  void check_sample();
  void validate_and_choose();
  /// After the main phase: from the best weights on, the class means alone are trained.
  void start_finetune();
  void load_best();
  void save(const std::string& path);
  void save_step();
  void finish(bool complete);
  void report(bool complete) const;
  std::map<std::string, std::string> extra_metadata() const;

  int64_t steps_per_epoch() const { return data_.training().steps(); }
  int64_t finetune_steps() const;
  bool main_phase_done() const;
  bool finished() const;
  /// The last step, as far as it is known yet.
  int64_t last_step() const;
  bool due(double every_epochs) const;
  double bits_per_dim(double nll_joint) const;
  double elapsed() const;
  Allocator& memory() const { return Allocator::of(device_); }

  TrainOptions options_;
  MeasuredRoofs roofs_;  // if the run is profiled
  Device device_;
  TrainData data_;
  std::unique_ptr<Model> model_;
  IbInn* flow_ = nullptr;  // the model, if it is one
  MemoryPlan plan_;
  std::vector<int> inverted_;  // blocks rebuilt by inversion
  std::unique_ptr<Sgd> sgd_;
  std::unique_ptr<TrainStep> step_;
  std::deque<Launched> launched_;
  std::unique_ptr<RunFolder> folder_;
  std::unique_ptr<MetricsFile> metrics_;
  std::unique_ptr<ProgressLine> progress_line_;
  StopSignal signal_;

  Progress progress_;
  PlateauState plateau_;
  double best_entropy_ = 0.0;
  double best_density_ = 0.0;
  bool has_best_ = false;
  int64_t finetune_from_ = -1;  // first step of that phase, counted from 0
  double worst_inversion_ = 0.0;
  std::chrono::steady_clock::time_point start_;
  int64_t start_step_ = 0;
  double train_seconds_ = 0.0;
  int64_t profiled_from_ = 0;        // steps before the profile
  double unprofiled_seconds_ = 0.0;  // and their time
};

}  // namespace pal
