#pragma once
#include <memory>
#include <string>

#include "data/dataset.h"
#include "data/loader.h"
#include "experiments/evaluation.h"
#include "experiments/run_log.h"
#include "experiments/stop_signal.h"
#include "experiments/train_options.h"
#include "layers/checkpoint/run_folder.h"
#include "layers/models/model_io.h"

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
  struct StepStats {
    double loss = 0.0;
    double nll_joint = 0.0;
    double cross_entropy = 0.0;
    double accuracy = 0.0;
    double grad_norm = 0.0;
  };

  void set_up_chain();
  void resume();
  void check_resume(const Checkpoint& checkpoint, const std::string& path) const;
  void write_run_file(const std::string& command) const;
  void log_start() const;

  StepStats train_one_step();
  /// The model's step; numerical errors name the training step.
  MixtureResult guarded_step(const Tensor& images, const Tensor& targets, const LossSpec& loss);
  void watch_inversion();
  void judge_inversion();
  void check_step(const StepStats& stats) const;
  void record_step(const StepStats& stats, double seconds);
  std::string progress_text(const StepStats& stats) const;

  void validate_and_choose();
  void save(const std::string& path);
  void save_step();
  void finish(bool complete);
  void report(bool complete) const;
  std::map<std::string, std::string> extra_metadata() const;

  int64_t steps_per_epoch() const { return train_loader_->steps(); }
  int64_t last_step() const;
  bool due(double every_epochs) const;
  double bits_per_dim(double nll_joint) const;
  double elapsed() const;

  TrainOptions options_;
  ImageSet set_;
  std::unique_ptr<BatchLoader> train_loader_;
  std::vector<int64_t> validation_;
  InputSpec input_;
  std::unique_ptr<IbInn> model_;
  std::unique_ptr<Sgd> sgd_;
  std::unique_ptr<RunFolder> folder_;
  std::unique_ptr<MetricsFile> metrics_;
  std::unique_ptr<ProgressLine> progress_line_;
  StopSignal signal_;

  Progress progress_;
  PlateauState plateau_;
  double best_entropy_ = 0.0;
  double best_density_ = 0.0;
  bool has_best_ = false;
  double worst_inversion_ = 0.0;
  std::chrono::steady_clock::time_point start_;
  int64_t start_step_ = 0;
  double train_seconds_ = 0.0;
};

}  // namespace pal
