#include "experiments/recipe/data_table.h"

#include "runtime/error.h"

namespace pal {
namespace {

/// Whether pictures are read from files; other sets are in memory, at their own size. True where
/// the data are not there.
bool reads_pictures(const TrainOptions& o) {
  try {
    return names_data(o) && is_encoded(train_dataset(o));
  } catch (const Error&) {
    return true;
  }
}

void needs_pictures(Option& option, const TrainOptions& o) {
  option.only("with pictures that are decoded", [&o] { return reads_pictures(o); });
}

void add_sets(OptionTable& table, TrainOptions& o) {
  table.group("Data");
  table.positional("DIR", o.data.folder,
                   "Pictures: DIR/train/CLASS/*.jpg with DIR/val/, or class folders alone, tar "
                   "shards or IDX files");
  add_data_options(table, o.data);
  for (const char* name : {"class-names", "workers", "resize", "bad-images", "max-pixels", "exif"})
    needs_pictures(table.at(name), o);
  table.at("bad-images-max").only("with --bad-images skip", [&o] {
    return reads_pictures(o) && o.data.bad_images == BadImages::skip;
  });
  table.text("dir", o.data.folder, "Where a set known by name lies; the same as the argument DIR")
      .unit("DIR")
      .path()
      .on_resume(OnResume::keeps);
  table.toggle("synthetic", o.synthetic,
               "Generated pictures of the model's size: measures steps without data");
  table.whole("classes", o.classes, "Classes of --synthetic")
      .at_least(1)
      .at_most(1'000'000)
      .word("auto", 0)
      .only("with --synthetic", [&o] { return o.synthetic; });
  table
      .whole("image-size", o.image_size,
             "Side that pictures are cropped to; auto: the architecture's")
      .unit("PIXELS")
      .at_least(1)
      .at_most(16384)
      .only("with pictures that are decoded, or --synthetic",
            [&o] { return o.synthetic || reads_pictures(o); })
      .word("auto", 0);
  table
      .text("exclude-classes", o.exclude_classes,
            "For pal-ood --against heldout:CLASS,...: leave these classes' images out of training, "
            "validation and every later evaluation")
      .unit("CLASS,...")
      .only("with a data set", [&o] { return !o.synthetic; })
      .on_resume(OnResume::keeps)
      .recorded();
  table.toggle("allow-data-change", o.allow_data_change, "Resume although the data differ")
      .on_resume(OnResume::process);
}

void add_loading(OptionTable& table, TrainOptions& o) {
  table.whole("batch-size", o.batch_size, "Images of a rank at once; with one rank, of a step")
      .letter('b')
      .unit("IMAGES")
      .at_least(1)
      .by_architecture({{"ibinn-imagenet", "384"}, {"resnet50", "256"}})
      .on_resume(OnResume::free)
      .recorded();
  table
      .whole("global-batch", o.global_batch,
             "Images of a step over all ranks and parts; auto: --batch-size times ranks times "
             "--grad-accum")
      .unit("IMAGES")
      .at_least(1)
      .word("auto", 0)
      .on_resume(OnResume::keeps)
      .recorded();
  table
      .whole("grad-accum", o.grad_accum,
             "Parts of a step, one after another, whose gradients add up: a larger batch in the "
             "same memory")
      .unit("PARTS")
      .at_least(1)
      .at_most(65536)
      .on_resume(OnResume::changes)
      .recorded();
  table.toggle("flip", o.flip, "Mirror half of the images").on_resume(OnResume::changes).recorded();
  table.whole("shift", o.shift, "Move images by up to so many pixels")
      .unit("PIXELS")
      .at_least(0)
      .at_most(64)
      .on_resume(OnResume::changes)
      .recorded();
  table
      .numbers("crop-scale", o.crop_scale, 2,
               "Random crops of pictures: share of the area, smallest and largest")
      .unit("FROM,TO")
      .by_architecture({{"ibinn-small", "0.5,1"}, {"resnet-small", "0.5,1"}})
      .on_resume(OnResume::changes)
      .recorded();
  table
      .numbers("crop-ratio", o.crop_ratio, 2,
               "Random crops of pictures: width over height, smallest and largest")
      .unit("FROM,TO")
      .shown_default("3/4 to 4/3")
      .on_resume(OnResume::changes)
      .recorded();
  table
      .toggle("fast-decode", o.fast_decode,
              "Let the JPEG decoder scale down: faster, but other values, so not for densities")
      .by_architecture({{"resnet50", "true"}, {"resnet-small", "true"}})
      .on_resume(OnResume::changes)
      .recorded();
  table.toggle("noise", o.noise, "Add uniform noise of one grey level (dequantisation)")
      .by_architecture({{"resnet50", "false"}, {"resnet-small", "false"}})
      .on_resume(OnResume::keeps)
      .recorded();
  table.toggle("clamp-noise", o.clamp, "Clamp to 1 after the noise, as the published code does")
      .only("with --noise true", [&o] { return o.noise; })
      .on_resume(OnResume::keeps)
      .recorded();
  table
      .number("validation", o.validation,
              "Training images held out to choose checkpoints: a count, a fraction below 1, or "
              "auto: the set's own val part, or else 5,000 (10 % of small sets)")
      .above(0)
      .word("auto", 0)
      .on_resume(OnResume::changes)
      .recorded();
  for (const char* name : {"crop-scale", "crop-ratio", "fast-decode"})
    needs_pictures(table.at(name), o);
  table.numbers("mean", o.mean, "Mean of each colour")
      .at_least(0)
      .at_most(1)
      .shown_default("0.2860 for grey, else ImageNet's");
  table.numbers("std", o.std, "Deviation of each colour")
      .above(0)
      .at_most(1)
      .shown_default("0.3530 for grey, else ImageNet's");
}

}  // namespace

void add_training_data_options(OptionTable& table, TrainOptions& options) {
  add_sets(table, options);
  add_loading(table, options);
}

}  // namespace pal
