#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/sets/open_dataset.h"
#include "experiments/command_line/option_table.h"
#include "layers/models/model_io.h"

namespace pal {

/// What becomes of pictures that cannot be read: an error, or a line in a list.
enum class BadImages { error, skip };

/// Where images come from, and how encoded pictures are read.
struct DataOptions {
  std::string folder;   ///< DIR: the data, or where a set known by name lies
  std::string dataset;  ///< empty: what the checkpoint was trained on, if it says so
  std::string class_names;
  int64_t resize = 0;    ///< shorter side before the crop, in pixels; 0: in proportion to the crop
  int64_t workers = -1;  ///< -1: as many as suit the device
  BadImages bad_images = BadImages::error;
  double bad_images_max = 0.001;  ///< share of the pictures that may be skipped
  int64_t max_pixels = ImageLimits().max_pixels;
  bool exif = false;
};

/// Adds the options of every program that reads images, but DIR.
void add_data_options(OptionTable& table, DataOptions& options);

/// Brings the two ways to name data into one: a folder alone becomes the data set. Throws usage for
/// a folder beside a set that is not looked for in folders.
void settle_data(DataOptions& options);

/// Mean and deviation of each colour in [0, 1]: as given, or for an empty list ImageNet's (colour)
/// or Fashion-MNIST's (grey). Throws usage naming --mean or --std for another number of values.
InputSpec input_spec(const std::vector<float>& mean, const std::vector<float>& std,
                     int64_t channels);

/// What to open for a model of this configuration. `trained_on` is the name that a checkpoint
/// recorded (`recorded_name`); a folder is named by the run (take_run_data) or again. Throws usage
/// if nothing says what the data are.
DatasetSpec dataset_spec(const DataOptions& options, const ModelConfig& config,
                         const std::string& trained_on);

/// How pictures are decoded for evaluation.
TransformSpec evaluation_transform(const DataOptions& options);

/// Threads that decode: --workers, or a number that suits the device.
int64_t worker_count(const DataOptions& options, Device device);

/// The log of pictures left out, under --bad-images skip; null under error.
std::unique_ptr<BadImageLog> bad_image_log(const DataOptions& options, int64_t images);

}  // namespace pal
