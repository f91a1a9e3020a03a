#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/sets/open_dataset.h"
#include "layers/models/model_io.h"

namespace CLI {
class App;
}

namespace pal {

/// Where images come from, and how encoded pictures are read.
struct DataOptions {
  std::string folder;   ///< DIR
  std::string dataset;  ///< empty: what the checkpoint was trained on, if it says so
  std::string class_names;
  int64_t resize = 0;    ///< shorter side before the crop, in pixels; 0: in proportion to the crop
  int64_t workers = -1;  ///< -1: as many as suit the device
  std::string bad_images = "error";  ///< or "skip"
  double bad_images_max = 0.001;     ///< share of the pictures that may be skipped
  int64_t max_pixels = ImageLimits().max_pixels;
  bool exif = false;
};

/// Adds the options of every program that reads images, but DIR; `group` is their heading in the
/// help.
void add_data_options(CLI::App& app, DataOptions& options, const std::string& group);

/// Checks the options after parsing. Throws usage naming the flag.
void check_data_options(const DataOptions& options);

/// Mean and deviation of each colour in [0, 1]: as given, or for an empty list ImageNet's (colour)
/// or Fashion-MNIST's (grey). Throws usage naming --mean or --std for another number of values, or
/// deviations that are not above 0.
InputSpec input_spec(const std::vector<float>& mean, const std::vector<float>& std,
                     int64_t channels);

/// What to open for a model of this configuration. `trained_on` is the name that a checkpoint
/// recorded (`recorded_name`); a folder must be named again. Throws usage if nothing says what the
/// data are.
DatasetSpec dataset_spec(const DataOptions& options, const ModelConfig& config,
                         const std::string& trained_on);

/// How pictures are decoded for evaluation.
TransformSpec evaluation_transform(const DataOptions& options);

/// Threads that decode: --workers, or a number that suits the device.
int64_t worker_count(const DataOptions& options, Device device);

/// The log of pictures left out, under --bad-images skip; null under error.
std::unique_ptr<BadImageLog> bad_image_log(const DataOptions& options, int64_t images);

}  // namespace pal
