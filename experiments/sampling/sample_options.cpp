#include "experiments/sampling/sample_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <filesystem>

#include "runtime/error.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kLargestScale = 16;

int64_t scale_of(const std::string& text) {
  if (text == "auto") return 0;
  int64_t scale = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), scale);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  expect(whole && scale >= 1 && scale <= kLargestScale,
         "--scale: expected auto or a whole number from 1 to {}, got '{}'", kLargestScale, text);
  return scale;
}

/// The parts of a list between commas.
std::vector<std::string> parts_of(const std::string& list) {
  std::vector<std::string> parts;
  for (size_t first = 0; first <= list.size();) {
    const size_t comma = std::min(list.find(',', first), list.size());
    parts.push_back(list.substr(first, comma - first));
    expect(!parts.back().empty(),
           "--images: expected numbers or names with commas between, got '{}'", list);
    first = comma + 1;
  }
  return parts;
}

/// That a PNG file can be written there, as far as can be seen without writing it.
void check_output(const std::string& output) {
  const fs::path path(output);
  std::error_code ignored;
  if (!path.has_filename() || fs::is_directory(path, ignored))
    fail(ErrorKind::usage, "-o: {} is a folder; name a PNG file in it, such as {}", output,
         (path / "samples.png").string());
  std::string suffix = path.extension().string();
  std::ranges::transform(suffix, suffix.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (suffix != ".png")
    fail(ErrorKind::usage, "-o: {}: pictures are written as PNG; name the file {}", output,
         fs::path(path).replace_extension(".png").string());
  const fs::path folder = path.parent_path();
  if (!folder.empty() && !fs::is_directory(folder, ignored))
    fail(ErrorKind::environment, "-o: {}: there is no folder {}; make it first", output,
         folder.string());
}

SampleKind kind_of(const SampleOptions& o) {
  if (!o.interpolate.empty()) return SampleKind::interpolation;
  return o.reconstruct > 0 || !o.images.empty() ? SampleKind::reconstructions : SampleKind::samples;
}

/// Options that would have no effect on what is made.
void check_kind(const SampleOptions& o) {
  if (o.kind == SampleKind::samples)
    expect(o.data.folder.empty() && o.data.dataset.empty(),
           "{}: samples need no data; add --reconstruct or --interpolate, or leave it out",
           o.data.folder.empty() ? "--dataset" : o.data.folder);
  else
    expect(o.classes.empty(), "--class: chooses what to sample, not test images; use --images");
}

}  // namespace

void add_sample_options(CLI::App& app, SampleOptions& o) {
  app.add_option("CHECKPOINT", o.checkpoint, "a trained model")->required();
  app.add_option("DIR", o.data.folder, "folder with the data, for test images");
  const std::string what = "What to make";
  app.add_option("--class", o.classes, "classes to sample, by number or name; default: all")
      ->group(what);
  app.add_option("-n", o.count, "samples per class, or pictures in a row")
      ->group(what)
      ->capture_default_str();
  app.add_option("--temperature", o.temperature, "deviation of the samples from the class mean")
      ->group(what)
      ->capture_default_str();
  app.add_option("--reconstruct", o.reconstruct,
                 "so many test images, spread over the classes, through the network and back")
      ->group(what);
  CLI::Option* images =
      app.add_option("--images", o.images_text,
                     "the test images to reconstruct: numbers, or names such as CLASS/003.jpg, "
                     "with commas between")
          ->group(what)
          ->type_name("LIST");
  app.add_option("--interpolate", o.interpolate,
                 "two test images, by number or name: a line between them")
      ->group(what)
      ->type_name("IMAGE")
      ->expected(2)
      ->excludes("--reconstruct")
      ->excludes(images);
  const std::string sheet = "The sheet of pictures";
  app.add_option("-o,--output", o.output, "PNG file to write")->group(sheet)->capture_default_str();
  app.add_option("--scale", o.scale_text,
                 "pixels that each pixel becomes, 1 to 16 in both directions; auto: pictures of "
                 "about 96 pixels")
      ->group(sheet)
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--labels", o.labels, "write beside the pictures what they are")
      ->group(sheet)
      ->capture_default_str();
  add_data_options(app, o.data, "Test images");
  add_run_options(app, o.run);
}

void finish_sample_options(SampleOptions& o) {
  o.scale = scale_of(o.scale_text);
  if (!o.images_text.empty()) o.images = parts_of(o.images_text);
  expect(o.count >= 1 && o.count <= kMostSamples, "-n: expected 1 to {}, got {}", kMostSamples,
         o.count);
  expect(o.temperature >= 0.0, "--temperature: expected at least 0, got {}", o.temperature);
  expect(o.reconstruct >= 0 && o.reconstruct <= kMostSamples,
         "--reconstruct: expected 1 to {}, got {}", kMostSamples, o.reconstruct);
  const auto named = static_cast<int64_t>(o.images.size());
  expect(o.images.empty() || o.reconstruct == 0 || o.reconstruct == named,
         "--images: names {} images, but --reconstruct wants {}; leave one of them out", named,
         o.reconstruct);
  expect(o.interpolate.empty() || o.count >= 2, "-n: an interpolation needs at least 2, got {}",
         o.count);
  o.kind = kind_of(o);
  check_kind(o);
  check_data_options(o.data);
  check_output(o.output);
}

}  // namespace pal
