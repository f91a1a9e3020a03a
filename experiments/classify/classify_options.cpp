#include "experiments/classify/classify_options.h"

#include <algorithm>

#include "runtime/error.h"

namespace pal {

void add_classify_options(OptionTable& table, ClassifyOptions& o) {
  table.positional("CHECKPOINT", o.checkpoint, "A run folder or a checkpoint");
  table.positionals(
      "IMAGE", o.images,
      "PNG and JPEG files, folders of them, or - for names or requests on stdin, a line each");
  table.group("Answers");
  table.whole("top", o.top, "Likeliest classes to show").at_least(1).unit("CLASSES");
  table.choice<double>("level", o.level, {{"90", 0.90}, {"95", 0.95}, {"99", 0.99}},
                       "In percent, how often the set of classes shall hold the right one");
  table
      .number("warn-below", o.warn_below,
              "Pictures with a smaller p-value of familiarity count as unfamiliar, those with a "
              "smaller attack_p are flagged")
      .at_least(0)
      .at_most(1);
  table.file("calibration", o.calibration, "What pal-evaluate --calibrate has learned")
      .shown_default("the one that belongs to the model");
  table
      .text("heatmap", o.heatmaps,
            "Write maps of each picture's likeliest classes into this folder, as pal-explain "
            "heatmap draws them")
      .unit("DIR");
  table.group("Pictures");
  table.whole("batch-size", o.batch_size, "Pictures at once, at most")
      .letter('b')
      .unit("IMAGES")
      .at_least(1)
      .at_most(65536);
  table.toggle("null", o.null_names, "Names on stdin end with a zero byte, not a line").letter('0');
  table
      .whole("resize", o.resize,
             "Shorter side before the middle square is cut out; auto: as the calibration says, or "
             "the training run")
      .unit("PIXELS")
      .at_least(1)
      .at_most(65536)
      .word("auto", 0);
  table.toggle("exif", o.exif, "Turn pictures upright by their EXIF orientation");
  add_pixel_limit(table, o.max_pixels);
  add_run_options(table, o.run);
}

void check_classify_options(const ClassifyOptions& o) {
  expect(!o.checkpoint.empty(), "CHECKPOINT: none is given; name a run folder or a checkpoint");
  expect(!o.images.empty(),
         "IMAGE: none is given; name pictures, a folder, or - for names on stdin");
  const bool piped = std::ranges::find(o.images, "-") != o.images.end();
  expect(!piped || o.images.size() == 1, "-: names come from stdin or the command line, not both");
  expect(!o.null_names || piped, "--null: goes with - for names on stdin");
}

}  // namespace pal
