#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "experiments/command_line/compute_options.h"
#include "experiments/command_line/data_options.h"
#include "experiments/planning/memory_plan.h"
#include "layers/models/config.h"
#include "layers/training/schedule.h"
#include "layers/training/sgd.h"

namespace CLI {
class App;
}

namespace pal {

/// Everything pal-train can be told. Text fields are parsed by `finish_train_options`.
struct TrainOptions {
  // Data
  DataOptions data;
  bool synthetic = false;
  int64_t classes = 0;     ///< of synthetic pictures; 0: the architecture's
  int64_t image_size = 0;  ///< of encoded and synthetic pictures; 0: the architecture's
  int64_t batch_size = 128;
  bool flip = true;
  int64_t shift = 2;                                        ///< in pixels
  std::vector<double> crop_scale = {0.08, 1.0};             ///< share of the area, from and to
  std::vector<double> crop_ratio = {3.0 / 4.0, 4.0 / 3.0};  ///< width over height, from and to
  bool fast_decode = false;
  bool noise = true;
  bool clamp = false;
  double validation = 0.0;  ///< see `split_validation`
  std::vector<float> mean;
  std::vector<float> std;
  // Model
  std::string arch = "ibinn-mnist";
  std::string flavour = "reference";
  std::vector<std::pair<std::string, std::string>> fields;  ///< model fields given by name
  std::string dct_log_det = "true";
  // Recipe
  std::string beta_text = "1";
  double beta = 1.0;
  double epochs = 40;
  int64_t max_steps = 0;  ///< 0: no limit
  double max_time = 0.0;  ///< in seconds; 0: no limit
  SgdOptions sgd;
  double lr_means = -1.0;  ///< of the class means; below 0: the network's rate
  std::string schedule_text = "step";
  ScheduleSpec schedule;
  double smoothing = 0.05;
  int64_t burn_in = 10;  ///< steps
  bool data_init = true;
  double finetune_epochs = 0.0;
  int64_t recalibrate = 50;  ///< batches
  // Memory and numerics
  std::string activation_memory = "auto";
  MemoryRequest memory;  ///< what that asks for
  std::string stream_anchors = "auto";
  int64_t inversion_check_every = 50;
  std::string on_inversion_error = "stop";
  std::string memory_limit;
  bool memory_report = false;
  // Run
  std::string output = "run";
  std::string resume;
  std::string init_from;
  int64_t checkpoint_every = 0;  ///< steps; 0: once an epoch
  int64_t keep_checkpoints = 2;
  double validate_every = 1.0;  ///< epochs; 0: at the end only
  int64_t check_every = 0;      ///< steps; 0: never
  int64_t check_images = 2000;
  bool allow_data_change = false;
  bool dry_run = false;
  bool profile = false;
  std::string trace;
  ComputeOptions compute = {.precision = "fp32"};
  std::string cuda_graph = "auto";
  uint64_t seed = 0;
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  std::string progress = "auto";
  std::string config_file;
};

/// What to open: --synthetic, the set that is named, or Fashion-MNIST.
DatasetSpec train_dataset(const TrainOptions& options);

/// The loader's options but for what the data decide (mean, std, device, workers).
LoaderOptions loader_options(const TrainOptions& options);

/// Registers all options, grouped, with one line of help each.
void add_train_options(CLI::App& app, TrainOptions& options);

/// Reads the text fields and checks ranges, after parsing. Throws usage naming the flag.
void finish_train_options(TrainOptions& options);

/// The model that the options describe, for images of this size, channels and classes.
ModelConfig model_config(const TrainOptions& options, int64_t image_size, int64_t channels,
                         int64_t classes);

/// The name of the data set that the recipe records.
std::string recorded_dataset(const TrainOptions& options);

/// The options that decide a run's numbers, as JSON: a resumed run must agree on them.
std::string recipe_json(const TrainOptions& options);

/// Reads beta: "inf" or a finite number of at least 0. Throws usage for anything else.
double parse_beta(const std::string& text);

}  // namespace pal
