#include "experiments/command_line/data_options.h"

#include <algorithm>

#include "data/batches/bad_images.h"
#include "experiments/command_line/run_options.h"
#include "runtime/error.h"
#include "runtime/paths.h"
#include "runtime/processors.h"

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
  return input;
}

void add_data_options(OptionTable& table, DataOptions& o) {
  table.synonym("data", "the argument DIR, or --dataset");
  table.synonym("num-workers", "--workers");
  table
      .text("dataset", o.dataset,
            "fashion-mnist, digits, stamps or clipart (made by pal-data prepare), "
            "synthetic:CLASSES[:COUNT[:SIZE[:CHANNELS]]], a folder or a pattern of tar shards")
      .unit("NAME")
      .values({"fashion-mnist", "digits", "stamps", "clipart"})
      .saved_as([](const std::string& name) {
        DatasetSpec spec;
        spec.name = name;
        return recorded_name(spec) == kRecordedFolder ? absolute_path(name) : name;
      })
      .on_resume(OnResume::keeps);
  table.file("class-names", o.class_names, "File with the names of the classes").path();
  table.whole("workers", o.workers, "Threads that decode pictures; auto: as suits the device")
      .letter('j')
      .at_least(0)
      .at_most(1024)
      .word("auto", -1);
  table
      .whole("resize", o.resize,
             "Shorter side before the crop of an evaluation; auto: image size * 256 / 224")
      .unit("PIXELS")
      .at_least(1)
      .at_most(65536)
      .word("auto", 0)
      .on_resume(OnResume::changes)
      .recorded();
  table.choice<BadImages>("bad-images", o.bad_images,
                          {{"error", BadImages::error}, {"skip", BadImages::skip}},
                          "Pictures that cannot be read: stop, or leave out and list them");
  table.number("bad-images-max", o.bad_images_max, "Largest fraction of pictures to skip")
      .at_least(0)
      .at_most(1)
      .only("with --bad-images skip", [&o] { return o.bad_images == BadImages::skip; });
  add_pixel_limit(table, o.max_pixels);
  table
      .toggle("exif", o.exif,
              "Turn pictures upright by their EXIF data (PyTorch's usual loaders do not)")
      .on_resume(OnResume::changes)
      .recorded();
}

void settle_data(DataOptions& o) {
  if (o.folder.empty()) return;
  DatasetSpec spec;
  spec.name = o.dataset;
  expect(o.dataset.empty() || recorded_name(spec) != kRecordedFolder,
         "DIR: two data sets, '{}' and --dataset {}; name one", o.folder, o.dataset);
  if (!o.dataset.empty()) return;
  std::swap(o.dataset, o.folder);
  // A folder here that is called like a known set is meant as a folder.
  spec.name = o.dataset;
  if (recorded_name(spec) != kRecordedFolder && path_is_folder(o.dataset))
    o.dataset = "./" + o.dataset;
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
  const auto cores = static_cast<int64_t>(usable_processors());
  return device.is_cuda() ? std::clamp<int64_t>(cores - 1, 1, kMostGpuWorkers)
                          : std::clamp<int64_t>(cores / 2, 1, kMostCpuWorkers);
}

std::unique_ptr<BadImageLog> bad_image_log(const DataOptions& o, int64_t images) {
  if (o.bad_images == BadImages::error) return nullptr;
  return std::make_unique<BadImageLog>(
      o.bad_images_max, images,
      "raise --bad-images-max, or list and replace them with pal-data check");
}

}  // namespace pal
