#include "experiments/sampling/sample_options.h"

#include <algorithm>
#include <filesystem>

#include "experiments/command_line/output_file.h"
#include "experiments/sampling/test_images.h"
#include "runtime/error.h"
#include "runtime/paths.h"
#include "runtime/text.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

/// That a PNG file can be written there, as far as can be seen without writing it.
void check_output(const std::string& output) {
  const fs::path path(output);
  if (!path.has_filename() || path_is_folder(path))
    fail(ErrorKind::usage, "-o: {} is a folder; name a PNG file in it, such as {}", output,
         (path / "samples.png").string());
  if (lower_case(path.extension().string()) != ".png")
    fail(ErrorKind::usage, "-o: {}: pictures are written as PNG; name the file {}", output,
         fs::path(path).replace_extension(".png").string());
  check_output_file("-o", output);
}

SampleKind kind_of(const SampleOptions& o) {
  if (!o.morph.empty()) return SampleKind::morph;
  if (!o.interpolate.empty()) return SampleKind::interpolation;
  return o.reconstruct > 0 || !o.images.empty() ? SampleKind::reconstructions : SampleKind::samples;
}

/// What a morph is told, and that nothing else is.
void check_morph(const SampleOptions& o) {
  if (o.morph.empty()) {
    expect(o.steps == 0, "--steps: goes with --morph; the steps of --interpolate are -n");
    expect(o.reach == 0.0, "--reach: goes with --morph");
    return;
  }
  expect(o.morph.size() == 2, "--morph: expected two classes, once, got {} texts", o.morph.size());
  expect(
      o.interpolate.empty() && o.reconstruct == 0,
      "--morph: does not go with --interpolate or --reconstruct; --images names where it begins");
  expect(o.classes.empty(),
         "--class: chooses what to sample; --morph names its two classes itself");
  const auto named = static_cast<int64_t>(o.images.size());
  expect(o.images.empty() || o.count == 0 || o.count == named,
         "--images: names {} images, but -n wants {}; leave one of them out", named, o.count);
}

/// What was left open.
void fill_in(SampleOptions& o) {
  constexpr int64_t kCount = 10;
  constexpr int64_t kSteps = 5;
  constexpr double kTemperature = 0.7;
  if (o.count == 0) o.count = o.kind == SampleKind::morph ? 1 : kCount;
  if (o.temperatures.empty()) o.temperatures = {kTemperature};
  if (o.steps == 0) o.steps = kSteps;
  if (o.reach == 0.0) o.reach = 1.0;
}

void check_temperatures(const SampleOptions& o) {
  for (size_t i = 0; i < o.temperatures.size(); ++i)
    for (size_t k = 0; k < i; ++k)
      expect(o.temperatures[k] != o.temperatures[i], "--temperature: names {} twice",
             o.temperatures[i]);
  expect(o.temperatures.size() <= 1 || o.judge.empty(),
         "--judge: looks at samples of one temperature, and --temperature names {}",
         o.temperatures.size());
}

/// Options that would have no effect on what is made.
void check_kind(const SampleOptions& o) {
  if (o.kind == SampleKind::samples)
    expect((o.data.folder.empty() && o.data.dataset.empty()) || o.real > 0 || !o.judge.empty() ||
               o.around != SampleCentre::means,
           "{}: samples around means need no data; add --real, --judge, --reconstruct, "
           "--interpolate or --morph, or leave it out",
           o.data.folder.empty() ? "--dataset" : o.data.folder);
  else
    expect(o.classes.empty(), "--class: chooses what to sample, not test images; use --images");
  const bool sampled = o.kind == SampleKind::samples;
  expect(sampled || o.real == 0,
         "--real: goes with samples, not with --reconstruct, --interpolate or --morph");
  expect(sampled || o.around == SampleCentre::automatic || o.kind == SampleKind::morph,
         "--around: says where samples are drawn, and --reconstruct and --interpolate draw none");
  expect(sampled || o.judge.empty(),
         "--judge: looks at samples, not at --reconstruct, --interpolate or --morph");
  expect(sampled || o.temperatures.empty(),
         "--temperature: goes with samples, not with --reconstruct, --interpolate or --morph");
}

}  // namespace

void add_sample_options(OptionTable& table, SampleOptions& o) {
  table.positional("CHECKPOINT", o.checkpoint, "A run folder or a checkpoint");
  table.positional("DIR", o.data.folder,
                   "Folder with the data, for test images; else those the run was trained on");
  table.group("What to make");
  table.texts("class", o.classes, "A class to sample, by number or name")
      .unit("CLASS")
      .shown_default("all");
  table.whole("count", o.count, "Samples per class; pictures in a row; images to --morph")
      .letter('n')
      .at_least(1)
      .at_most(kMostSamples)
      .shown_default("10; with --morph 1");
  table
      .numbers("temperature", o.temperatures, 0,
               "How far samples spread, times the deviation of what they are drawn around; 0: not "
               "at all. Several, such as 0.5,0.7,1: side by side, with the same random numbers")
      .at_least(0)
      .unit("T[,T...]")
      .shown_default("0.7");
  table.choice<SampleCentre>(
      "around", o.around,
      {{"auto", SampleCentre::automatic},
       {"means", SampleCentre::means},
       {"images", SampleCentre::images}},
      "Where samples of a class are drawn: around its mean in the model with deviation 1, or as "
      "the latent vectors of up to 500 of its training images lie, which shows the class better; "
      "and which of the two means a --morph takes; "
      "auto: so for at most 20 classes, if the images are to be had");
  table.whole("real", o.real, "Test images of each class, shown left of its samples")
      .unit("IMAGES")
      .at_least(0)
      .at_most(1000);
  table
      .text("judge", o.judge,
            "Another model (a ResNet, trained apart) that says which class samples show: how often "
            "it is the one that was asked for, beside its accuracy on the test images")
      .unit("CHECKPOINT");
  table.whole("judged", o.judged, "Samples for the judge, of all classes together")
      .unit("SAMPLES")
      .at_least(1)
      .at_most(1'000'000)
      .only("with --judge", [&o] { return !o.judge.empty(); });
  table
      .whole("reconstruct", o.reconstruct,
             "So many test images, spread over the classes, through the network and back")
      .unit("IMAGES")
      .at_least(0)
      .at_most(kMostSamples);
  table
      .text("images", o.images_text,
            "The test images to reconstruct or to --morph: numbers, or names such as "
            "CLASS/003.jpg, with commas "
            "between")
      .unit("LIST");
  table
      .texts("interpolate", o.interpolate,
             "Two test images, by number or name: a line between them")
      .unit("IMAGE IMAGE")
      .takes(2);
  table
      .texts("morph", o.morph,
             "Two classes, by number or name: the first test images of class A (-n of them, or "
             "--images) are moved in latent space by t times the difference of the two class means "
             "(--around), z + t (mean of B - mean of A), and so become B but keep what is their "
             "own; under each picture stands what the model takes it for")
      .unit("A B")
      .takes(2);
  table.whole("steps", o.steps, "Pictures of a --morph, from t = 0, the image rebuilt, to --reach")
      .unit("PICTURES")
      .at_least(2)
      .at_most(1000)
      .shown_default("5");
  table
      .number("reach", o.reach,
              "The last t of a --morph: 1 is the whole difference of the means; more goes beyond")
      .unit("T")
      .above(0)
      .at_most(100)
      .shown_default("1");
  table.group("The sheet of pictures");
  table.text("output", o.output, "PNG file to write").letter('o').unit("FILE");
  table
      .whole("scale", o.scale,
             "Pixels that each pixel becomes in both directions; auto: pictures of about 96 pixels")
      .at_least(1)
      .at_most(16)
      .word("auto", 0);
  table.toggle("labels", o.labels, "Write beside the pictures what they are");
  table.group("Test images");
  add_data_options(table, o.data);
  add_run_options(table, o.run);
}

void finish_sample_options(SampleOptions& o) {
  expect(!o.checkpoint.empty(), "CHECKPOINT: none is given; name a run folder or a checkpoint");
  if (!o.images_text.empty()) o.images = listed_images(o.images_text);
  check_morph(o);
  const bool lines = !o.interpolate.empty();
  expect(!lines || o.interpolate.size() == 2, "--interpolate: expected two images, got {}",
         o.interpolate.size());
  expect(!lines || (o.reconstruct == 0 && o.images.empty()),
         "--interpolate: does not go with --reconstruct or --images");
  const auto named = static_cast<int64_t>(o.images.size());
  expect(o.images.empty() || o.reconstruct == 0 || o.reconstruct == named,
         "--images: names {} images, but --reconstruct wants {}; leave one of them out", named,
         o.reconstruct);
  expect(o.interpolate.empty() || o.count != 1, "-n: an interpolation needs at least 2, got {}",
         o.count);
  o.kind = kind_of(o);
  check_kind(o);
  check_temperatures(o);
  fill_in(o);
  settle_data(o.data);
  check_output(o.output);
}

}  // namespace pal
