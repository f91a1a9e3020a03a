#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "experiments/command_line/compute_options.h"
#include "experiments/command_line/data_options.h"
#include "experiments/command_line/option_table.h"
#include "experiments/command_line/rank_compute.h"
#include "experiments/command_line/run_options.h"
#include "experiments/planning/memory_plan.h"
#include "layers/models/config.h"
#include "layers/training/optimizer.h"
#include "layers/training/schedule.h"

namespace pal {

/// The published code, or the paper's text where it differs.
enum class Flavour { reference, paper };
/// What becomes of a run whose blocks are not rebuilt well enough.
enum class OnInversionError { stop, warn };
/// Whether steps are launched as CUDA graphs: where possible, always or never.
enum class GraphUse { automatic, on, off };
/// What does not learn: nothing, or all but the class means (a ResNet: all but its linear layer).
enum class Freeze { none, network };

/// Everything pal-train can be told (train_table.h).
struct TrainOptions {
  // Data
  DataOptions data;
  bool synthetic = false;
  int64_t classes = 0;       ///< of synthetic pictures; 0: the architecture's
  int64_t image_size = 0;    ///< of encoded and synthetic pictures; 0: the architecture's
  int64_t batch_size = 128;  ///< images of a rank at once
  int64_t global_batch = 0;  ///< images of a step over all ranks; 0: what the others make
  int64_t grad_accum = 1;    ///< parts of a step, one after another
  BatchShare share;          ///< which of a step's images this process sees; not an option
  bool flip = true;
  int64_t shift = 0;                                        ///< in pixels
  std::vector<double> crop_scale = {0.08, 1.0};             ///< share of the area, from and to
  std::vector<double> crop_ratio = {3.0 / 4.0, 4.0 / 3.0};  ///< width over height, from and to
  bool fast_decode = false;
  bool noise = true;
  bool clamp = false;
  double validation = 0.0;  ///< see `split_validation`
  std::vector<float> mean;
  std::vector<float> std;
  bool allow_data_change = false;
  std::string exclude_classes;  ///< names with commas between; empty: none
  // Model
  std::string arch = "ibinn-mnist";
  Flavour flavour = Flavour::reference;
  std::map<std::string, std::string> fields;  ///< model fields given by name, as text
  bool dct_reported = false;
  // Recipe
  double beta = 1.0;
  double epochs = 40;
  int64_t max_steps = 0;  ///< 0: no limit
  double max_time = 0.0;  ///< in seconds; 0: no limit
  OptimizerKind optimizer = OptimizerKind::sgd;
  UpdateOptions update;
  double lr_means = -1.0;                    ///< of the class means; below 0: the network's rate
  std::vector<double> betas = {0.9, 0.999};  ///< AdamW's
  double ema = 0.0;                          ///< decay of the average of the weights; 0: none
  ScheduleSpec schedule = {.kind = ScheduleKind::step};
  double smoothing = 0.05;
  int64_t burn_in = 10;  ///< steps
  bool data_init = true;
  Freeze freeze = Freeze::none;
  double finetune_epochs = 0.0;
  int64_t recalibrate = 50;  ///< batches
  // Memory and numerics
  MemoryRequest memory;
  int64_t stream_anchors = -1;  ///< blocks between kept inputs; 0: none, -1: as suits the precision
  int64_t inversion_check_every = 50;
  OnInversionError on_inversion_error = OnInversionError::stop;
  int64_t memory_limit = 0;  ///< bytes; 0: none
  bool memory_report = false;
  // Ranks
  bool sync_bn = false;
  CommKind comm = CommKind::automatic;
  int64_t bucket = int64_t{25} << 20;  ///< bytes
  bool bucket_bf16 = false;
  std::string log_ranks;
  double join_seconds = 60.0;
  double rank_timeout = 300.0;  ///< seconds; 0: none
  // Run
  std::string output = "run";
  std::string resume;
  std::string init_from;
  int64_t checkpoint_every = 0;  ///< steps; 0: once an epoch
  int64_t keep_checkpoints = 2;
  double validate_every = 1.0;  ///< epochs; 0: at the end only
  int64_t check_every = 0;      ///< steps; 0: never
  int64_t check_images = 2000;
  bool tensorboard = false;
  bool dry_run = false;
  bool print_config = false;
  bool profile = false;
  std::string trace;
  ComputeOptions compute = {.precision = "fp32"};
  GraphUse cuda_graph = GraphUse::automatic;
  uint64_t seed = 0;
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  ProgressMode progress = ProgressMode::automatic;
  std::string config_file;
};

/// Settles the batch once the number of ranks is known: the global one of a run that goes on or that
/// is given, else the sum of all ranks' and parts'. Throws usage where they do not fit.
void settle_batch(OptionTable& table, TrainOptions& options, int rank, int ranks);

/// The numbers of an update, of all the options that say something of it.
UpdateOptions update_options(const TrainOptions& options);

/// What the optimizer keeps.
OptimizerSpec optimizer_spec(const TrainOptions& options);

/// Whether anything says what the data are.
bool names_data(const TrainOptions& options);

/// What to open: --synthetic, or the set that is named.
DatasetSpec train_dataset(const TrainOptions& options);

/// The loader's options but for what the data decide (mean, std, device, workers).
LoaderOptions loader_options(const TrainOptions& options);

/// The model that the options describe, for images of this size, channels and classes. Throws usage
/// naming the option of a field that does not fit.
ModelConfig model_config(const TrainOptions& options, int64_t image_size, int64_t channels,
                         int64_t classes);

/// Runs a check whose messages begin with the name of an option, without its dashes, and adds them.
void with_dashes(const std::function<void()>& check);

/// Checks the model's options before the data are known. Throws as `model_config`.
void check_model_options(const TrainOptions& options);

/// The name of the data set that the recipe records.
std::string recorded_dataset(const TrainOptions& options);

}  // namespace pal
