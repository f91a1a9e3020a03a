#include "experiments/command_line/data_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <thread>

#include "data/batches/bad_images.h"
#include "runtime/error.h"

namespace pal {
namespace {

/// On a CPU the decoders take their time from training; a GPU is fed by as many as there are, up to
/// a number beyond which the disk decides.
constexpr int64_t kMostCpuWorkers = 4;
constexpr int64_t kMostGpuWorkers = 16;

std::vector<float> per_channel(const std::vector<float>& given, float grey,
                               const std::vector<float>& colour, int64_t channels,
                               const char* flag) {
  const std::vector<float> values =
      !given.empty() ? given : (channels == 1 ? std::vector<float>{grey} : colour);
  expect(static_cast<int64_t>(values.size()) == channels,
         "{}: expected {} values, one per channel, got {}", flag, channels, values.size());
  return values;
}

}  // namespace

InputSpec input_spec(const std::vector<float>& mean, const std::vector<float>& std,
                     int64_t channels) {
  InputSpec input;
  input.mean = per_channel(mean, 0.2860F, {0.485F, 0.456F, 0.406F}, channels, "--mean");
  input.std = per_channel(std, 0.3530F, {0.229F, 0.224F, 0.225F}, channels, "--std");
  for (const float s : input.std) expect(s > 0.0F, "--std: expected numbers above 0, got {}", s);
  return input;
}

void add_data_options(CLI::App& app, DataOptions& o, const std::string& group) {
  app.add_option("--dataset", o.dataset,
                 "fashion-mnist, digits, stamps or clipart (made by pal-data prepare), "
                 "synthetic:CLASSES[:COUNT[:SIZE[:CHANNELS]]], a folder "
                 "(train/CLASS/*.JPEG, tar shards or IDX files) or a pattern of tar shards")
      ->group(group);
  app.add_option("--class-names", o.class_names, "File with the names of the classes")
      ->group(group)
      ->type_name("FILE");
  app.add_option("-j,--workers", o.workers, "Threads that decode pictures; -1: as suits the device")
      ->group(group)
      ->capture_default_str();
  app.add_option("--resize", o.resize,
                 "Shorter side before the crop of an evaluation; 0: image size * 256 / 224")
      ->group(group)
      ->capture_default_str();
  app.add_option("--bad-images", o.bad_images,
                 "Pictures that cannot be read: error (stop) or skip (list them)")
      ->group(group)
      ->capture_default_str();
  app.add_option("--bad-images-max", o.bad_images_max, "Largest fraction of pictures to skip")
      ->group(group)
      ->capture_default_str();
  app.add_option("--max-pixels", o.max_pixels, "Refuse larger pictures")
      ->group(group)
      ->capture_default_str();
  app.add_option("--exif", o.exif,
                 "Turn pictures upright by their EXIF data (PyTorch's usual loaders do not)")
      ->group(group)
      ->capture_default_str();
}

void check_data_options(const DataOptions& o) {
  expect(o.bad_images == "error" || o.bad_images == "skip",
         "--bad-images: expected error or skip, got '{}'", o.bad_images);
  expect(o.bad_images_max >= 0.0 && o.bad_images_max <= 1.0,
         "--bad-images-max: expected 0 to 1, got {}", o.bad_images_max);
  expect(o.workers >= -1 && o.workers <= 1024, "--workers: expected -1 to 1024, got {}", o.workers);
  expect(o.resize >= 0 && o.resize <= 65536, "--resize: expected 0 to 65536, got {}", o.resize);
  expect(o.max_pixels >= 1, "--max-pixels: expected at least 1, got {}", o.max_pixels);
}

DatasetSpec dataset_spec(const DataOptions& o, const ModelConfig& config,
                         const std::string& trained_on) {
  DatasetSpec spec;
  spec.name = o.dataset;
  spec.folder = o.folder;
  if (spec.name.empty() && spec.folder.empty()) {
    expect(trained_on != kRecordedFolder,
           "DIR: the checkpoint was trained on the pictures of a folder; name the folder");
    spec.name = trained_on;
  }
  expect(!spec.name.empty() || !spec.folder.empty(),
         "DIR: no data; name a folder, or a known set with --dataset");
  spec.image_size = config.image_size;
  spec.channels = config.channels;
  spec.class_names = o.class_names;
  return spec;
}

TransformSpec evaluation_transform(const DataOptions& o) {
  TransformSpec transform;
  transform.resize = o.resize;
  transform.exif = o.exif;
  transform.limits.max_pixels = o.max_pixels;
  return transform;
}

int64_t worker_count(const DataOptions& o, Device device) {
  if (o.workers >= 0) return o.workers;
  const auto cores = static_cast<int64_t>(std::thread::hardware_concurrency());
  return device.is_cuda() ? std::clamp<int64_t>(cores - 1, 1, kMostGpuWorkers)
                          : std::clamp<int64_t>(cores / 2, 1, kMostCpuWorkers);
}

std::unique_ptr<BadImageLog> bad_image_log(const DataOptions& o, int64_t images) {
  if (o.bad_images == "error") return nullptr;
  return std::make_unique<BadImageLog>(o.bad_images_max, images);
}

}  // namespace pal
