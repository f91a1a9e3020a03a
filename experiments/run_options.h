#pragma once
#include <cstdint>
#include <string>

#include "data/dataset.h"
#include "experiments/compute_options.h"
#include "layers/models/config.h"

namespace CLI {
class App;
}

namespace pal {

/// Options of every program that runs a trained model.
struct RunOptions {
  ComputeOptions compute;
  uint64_t seed = 0;
  int64_t memory_limit = 0;  ///< bytes; 0: none
  bool json = false;
  bool quiet = false;
};

void add_run_options(CLI::App& app, RunOptions& options);

/// After parsing: sets threads, precision, memory limit and log level, and returns the device.
/// Throws usage or environment for what this machine cannot do.
Device apply_run_options(const RunOptions& options);

/// The compute type that --precision asks for, into a checkpoint's configuration.
void set_precision(const RunOptions& options, ModelConfig& config);

/// Where images come from: a known data set, or a folder.
struct DataOptions {
  std::string dataset;  ///< empty: what the checkpoint was trained on, if it says so
  std::string folder;
};

/// The data set's name: as given; else the folder, if there is one; else `trained_on`, else
/// fashion-mnist.
std::string dataset_name(const DataOptions& options, const std::string& trained_on);

/// load_dataset of that name.
ImageSet load_images(const DataOptions& options, const std::string& trained_on, Split split);

}  // namespace pal
