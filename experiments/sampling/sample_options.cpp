#include "experiments/sampling/sample_options.h"

#include <algorithm>
#include <filesystem>

#include "experiments/command_line/output_file.h"
#include "experiments/sampling/test_images.h"
#include "runtime/error.h"
#include "runtime/text.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

/// That a PNG file can be written there, as far as can be seen without writing it.
void check_output(const std::string& output) {
  const fs::path path(output);
  std::error_code ignored;
  if (!path.has_filename() || fs::is_directory(path, ignored))
    fail(ErrorKind::usage, "-o: {} is a folder; name a PNG file in it, such as {}", output,
         (path / "samples.png").string());
  if (lower_case(path.extension().string()) != ".png")
    fail(ErrorKind::usage, "-o: {}: pictures are written as PNG; name the file {}", output,
         fs::path(path).replace_extension(".png").string());
  check_output_file("-o", output);
}

SampleKind kind_of(const SampleOptions& o) {
  if (!o.interpolate.empty()) return SampleKind::interpolation;
  return o.reconstruct > 0 || !o.images.empty() ? SampleKind::reconstructions : SampleKind::samples;
}

/// Options that would have no effect on what is made.
void check_kind(const SampleOptions& o) {
  if (o.kind == SampleKind::samples)
    expect((o.data.folder.empty() && o.data.dataset.empty()) || o.real > 0 || !o.judge.empty() ||
               o.around != SampleCentre::means,
           "{}: samples around means need no data; add --real, --judge, --reconstruct or "
           "--interpolate, or leave it out",
           o.data.folder.empty() ? "--dataset" : o.data.folder);
  else
    expect(o.classes.empty(), "--class: chooses what to sample, not test images; use --images");
  const bool sampled = o.kind == SampleKind::samples;
  expect(sampled || o.real == 0,
         "--real: goes with samples, not with --reconstruct or "
         "--interpolate");
  expect(sampled || o.around == SampleCentre::automatic,
         "--around: says where samples are drawn, and --reconstruct and --interpolate draw none");
  expect(sampled || o.judge.empty(),
         "--judge: looks at samples, not at --reconstruct or "
         "--interpolate");
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
  table.whole("count", o.count, "Samples per class, or pictures in a row")
      .letter('n')
      .at_least(1)
      .at_most(kMostSamples);
  table
      .number("temperature", o.temperature,
              "How far samples spread, times the deviation of what they are drawn around; 0: not "
              "at all")
      .at_least(0);
  table.choice<SampleCentre>(
      "around", o.around,
      {{"auto", SampleCentre::automatic},
       {"means", SampleCentre::means},
       {"images", SampleCentre::images}},
      "Where samples of a class are drawn: around its mean in the model with deviation 1, or as "
      "the latent vectors of up to 500 of its training images lie, which shows the class better; "
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
            "The test images to reconstruct: numbers, or names such as CLASS/003.jpg, with commas "
            "between")
      .unit("LIST");
  table
      .texts("interpolate", o.interpolate,
             "Two test images, by number or name: a line between them")
      .unit("IMAGE IMAGE")
      .takes(2);
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
  const bool lines = !o.interpolate.empty();
  expect(!lines || o.interpolate.size() == 2, "--interpolate: expected two images, got {}",
         o.interpolate.size());
  expect(!lines || (o.reconstruct == 0 && o.images.empty()),
         "--interpolate: does not go with --reconstruct or --images");
  const auto named = static_cast<int64_t>(o.images.size());
  expect(o.images.empty() || o.reconstruct == 0 || o.reconstruct == named,
         "--images: names {} images, but --reconstruct wants {}; leave one of them out", named,
         o.reconstruct);
  expect(o.interpolate.empty() || o.count >= 2, "-n: an interpolation needs at least 2, got {}",
         o.count);
  o.kind = kind_of(o);
  check_kind(o);
  settle_data(o.data);
  check_output(o.output);
}

}  // namespace pal
