#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <numeric>

#include "data/pictures/image_grid.h"
#include "experiments/command_line/data_options.h"
#include "experiments/command_line/program.h"
#include "experiments/command_line/run_options.h"
#include "experiments/measures/model_fit.h"
#include "experiments/measures/sampling.h"
#include "experiments/training/training_recipe.h"
#include "runtime/error.h"
#include "runtime/json.h"
#include "runtime/log.h"

namespace {

using namespace pal;

constexpr const char* kName = "pal-sample";
/// White pixels between pictures.
constexpr int64_t kGap = 2;
constexpr int64_t kMostPictures = 100000;

struct Options {
  std::string checkpoint;
  std::string output = "samples.png";
  std::vector<std::string> classes;
  int64_t count = 10;
  double temperature = 0.7;
  int64_t reconstruct = 0;
  std::vector<int64_t> interpolate;
  DataOptions data;
  RunOptions run;
};

void add_options(CLI::App& app, Options& o) {
  app.add_option("CHECKPOINT", o.checkpoint, "a trained model")->required();
  app.add_option("-o,--output", o.output, "PNG file to write")->capture_default_str();
  const std::string what = "What to make";
  app.add_option("--class", o.classes, "classes to sample, by number or name; default: all")
      ->group(what);
  app.add_option("-n", o.count, "samples per class, or pictures of an interpolation")
      ->group(what)
      ->capture_default_str();
  app.add_option("--temperature", o.temperature, "deviation of the samples from the class mean")
      ->group(what)
      ->capture_default_str();
  CLI::Option* rebuild = app.add_option("--reconstruct", o.reconstruct,
                                        "test images to send through the network and back")
                             ->group(what);
  app.add_option("--interpolate", o.interpolate, "two test images, by number: a line between them")
      ->group(what)
      ->expected(2)
      ->excludes(rebuild);
  const std::string data = "Test images";
  app.add_option("--data", o.data.folder, "folder with the data")->group(data);
  add_data_options(app, o.data, data);
  add_run_options(app, o.run);
}

void check_options(const Options& o) {
  expect(o.count >= 1 && o.count <= kMostPictures, "-n: expected 1 to {}, got {}", kMostPictures,
         o.count);
  expect(o.temperature >= 0.0, "--temperature: expected at least 0, got {}", o.temperature);
  expect(o.reconstruct >= 0 && o.reconstruct <= kMostPictures,
         "--reconstruct: expected 1 to {}, got {}", kMostPictures, o.reconstruct);
  expect(o.interpolate.empty() || o.count >= 2, "-n: an interpolation needs at least 2, got {}",
         o.count);
}

int64_t class_of(const std::string& text, const LoadedModel& loaded) {
  const int64_t classes = loaded.model->config().classes;
  const auto& names = loaded.input.class_names;
  const auto named = std::ranges::find(names, text);
  if (named != names.end()) return named - names.begin();
  int64_t y = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), y);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (whole) {
    expect(y >= 0 && y < classes, "--class: the model has classes 0 to {}, got {}", classes - 1, y);
    return y;
  }
  const std::string nearest = nearest_name(text, names);
  fail(ErrorKind::usage, "--class: no class is called '{}'{}", text,
       nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest));
}

void answer(const Options& o, int64_t pictures, nlohmann::ordered_json json,
            const std::string& text) {
  if (!o.run.json) {
    if (!text.empty()) print_result(text);
    print_result(fmt::format("{} pictures in {}", pictures, o.output));
    return;
  }
  json["images"] = pictures;
  json["output"] = o.output;
  print_result(json_text(json, -1, BadUtf8::replaced));
}

/// The test images that reconstructions and interpolations start from.
std::unique_ptr<Dataset> test_images(const Options& o, const LoadedModel& loaded) {
  const TrainingRecipe recipe = training_recipe(loaded.checkpoint, o.checkpoint);
  auto set =
      open_dataset(dataset_spec(o.data, loaded.model->config(), recipe.dataset), Split::test);
  expect_images_fit(loaded, o.checkpoint, set->info());
  return set;
}

void sample(const Options& o, const LoadedModel& loaded) {
  std::vector<int64_t> classes;
  for (const std::string& text : o.classes) classes.push_back(class_of(text, loaded));
  if (classes.empty()) {
    classes.resize(static_cast<size_t>(loaded.model->config().classes));
    std::iota(classes.begin(), classes.end(), int64_t{0});
  }
  const int64_t all = o.count * static_cast<int64_t>(classes.size());
  expect(all <= kMostPictures, "-n: {} pictures are more than {}; name classes with --class", all,
         kMostPictures);
  std::vector<Image> pictures;
  for (const int64_t y : classes) {
    const Tensor z =
        class_latents(flow_of(loaded, o.checkpoint), y, 0, o.count, o.temperature, o.run.seed);
    for (Image& picture : to_pictures(decode(flow_of(loaded, o.checkpoint), z), loaded.input))
      pictures.push_back(std::move(picture));
  }
  write_png(o.output, image_grid(pictures, o.count, kGap));
  answer(o, all, {{"classes", classes}, {"temperature", o.temperature}}, "");
}

void reconstruct(const Options& o, const LoadedModel& loaded) {
  const auto set = test_images(o, loaded);
  expect(o.reconstruct <= set->info().count, "--reconstruct: {} has {} test images, got {}",
         set->info().name, set->info().count, o.reconstruct);
  std::vector<int64_t> indices(static_cast<size_t>(o.reconstruct));
  std::iota(indices.begin(), indices.end(), int64_t{0});
  const Tensor images = network_images(*set, loaded.input, indices);
  const Tensor rebuilt =
      decode(flow_of(loaded, o.checkpoint), encode(flow_of(loaded, o.checkpoint), images));
  const InversionError error = inversion_error(images, rebuilt);
  // Originals over their reconstructions, as many pairs in a row as -n says.
  const std::vector<Image> originals = to_pictures(images, loaded.input);
  const std::vector<Image> copies = to_pictures(rebuilt, loaded.input);
  std::vector<Image> pictures;
  for (int64_t first = 0; first < o.reconstruct; first += o.count) {
    const int64_t last = std::min(first + o.count, o.reconstruct);
    pictures.insert(pictures.end(), originals.begin() + first, originals.begin() + last);
    // A short last row is filled up, so that its copies stand below it.
    Image blank = originals[0];
    std::ranges::fill(blank.pixels, uint8_t{255});
    const int64_t missing = first == 0 ? 0 : first + o.count - last;
    pictures.insert(pictures.end(), static_cast<size_t>(missing), blank);
    pictures.insert(pictures.end(), copies.begin() + first, copies.begin() + last);
  }
  write_png(o.output, image_grid(pictures, std::min(o.count, o.reconstruct), kGap));
  if (error.largest > kInversionTolerance)
    log_warning("the largest inversion error, {:.2e}, is above {:.0e}", error.largest,
                kInversionTolerance);
  answer(o, 2 * o.reconstruct, {{"max_error", error.largest}, {"mean_error", error.mean}},
         fmt::format("inversion error of {} images: max {:.3e}, mean {:.3e} (network units)",
                     o.reconstruct, error.largest, error.mean));
}

void interpolate(const Options& o, const LoadedModel& loaded) {
  const auto set = test_images(o, loaded);
  for (const int64_t index : o.interpolate)
    expect(index >= 0 && index < set->info().count,
           "--interpolate: {} has test images 0 to {}, got {}", set->info().name,
           set->info().count - 1, index);
  const Tensor ends =
      encode(flow_of(loaded, o.checkpoint), network_images(*set, loaded.input, o.interpolate));
  const Tensor line = decode(flow_of(loaded, o.checkpoint), interpolate_latents(ends, o.count));
  write_png(o.output, image_grid(to_pictures(line, loaded.input), o.count, kGap));
  answer(o, o.count, {{"from", o.interpolate[0]}, {"to", o.interpolate[1]}}, "");
}

}  // namespace

int main(int argc, char** argv) {
  return pal::run_program(kName, [&] {
    CLI::App app(
        "Images from a trained model: samples of its classes, reconstructions, "
        "interpolations.",
        kName);
    Options options;
    add_options(app, options);
    if (!pal::parse_options(app, argc, argv)) return 0;
    check_options(options);
    const Device device = apply_run_options(options.run);
    const LoadedModel loaded = load_model(
        options.checkpoint, [&](ModelConfig& config) { set_precision(options.run, config); });
    loaded.model->to(device);
    if (options.reconstruct > 0)
      reconstruct(options, loaded);
    else if (!options.interpolate.empty())
      interpolate(options, loaded);
    else
      sample(options, loaded);
    return 0;
  });
}
