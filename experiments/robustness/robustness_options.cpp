#include "experiments/robustness/robustness_options.h"

#include "data/corruptions/frost_pictures.h"
#include "experiments/robustness/robustness_report.h"
#include "runtime/error.h"
#include "runtime/paths.h"

namespace pal {
void add_robustness_options(OptionTable& table, RobustnessOptions& o) {
  EvaluateOptions& e = o.evaluation;
  table.positionals("CHECKPOINT", e.checkpoints,
                    "Checkpoints or run folders, then perhaps the folder of the clean data; else "
                    "the data that the runs were trained on");
  table.group("Corruptions");
  add_corruption_choice(table, o.choice);
  table
      .text("tree", o.tree,
            "Corrupted pictures as published sets have them, [GROUP/]CORRUPTION/SEVERITY/CLASS/, "
            "seen as they are; else images are corrupted in memory")
      .unit("DIR");
  table
      .text("frost", o.frost,
            "Folder of six photographs of frozen panes; the package imagecorruptions of PyPI has "
            "them. Without it frost is a texture, which results say")
      .unit("DIR");
  table.toggle("frost-five", o.frost_five,
               "Draw among the first five photographs alone, as for the published sets");
  table
      .whole("jpeg-quality", o.jpeg_quality,
             "Let corrupted images pass a JPEG of this quality, as the published ImageNet set has; "
             "0: none; auto: 85 from 64 pixels on")
      .at_least(0)
      .at_most(100)
      .word("auto", -1);
  table.group("Results");
  table
      .text("output", o.output,
            "Folder for results: tables, a figure, and a file for each model, corruption and "
            "severity, from which the same command goes on after a stop")
      .letter('o')
      .unit("DIR");
  table
      .text("mce-reference", o.reference,
            "Errors that CE and mCE are measured by: alexnet, or a file `corruption,error` such as "
            "errors/NAME.csv in the results of a network")
      .unit("FILE")
      .shown_default("alexnet for ImageNet, else none");
  table.group("Clean images");
  table
      .whole("reference", o.reference_images,
             "Training images that the test of densities knows, at most, evenly spread")
      .unit("IMAGES")
      .at_least(2);
  table.whole("count", o.most_images, "Test images at most, evenly spread")
      .letter('n')
      .unit("IMAGES")
      .at_least(2)
      .word("all", 0);
  table.toggle("allow-other-classes", e.allow_other_classes,
               "Take classes by position if the model does not know their names");
  table.toggle("restrict-classes", e.restrict_classes,
               "Images of only some of the model's classes: choose answers among those that they "
               "have; false: among all");
  add_data_options(table, e.data);
  table.whole("batch-size", e.batch_size, "Images per batch; auto: as suits the device")
      .letter('b')
      .unit("IMAGES")
      .at_least(1)
      .word("auto", -1);
  add_progress_option(table, o.progress);
  add_run_options(table, e.run);
}

void finish_robustness_options(RobustnessOptions& o) {
  finish_evaluate_options(o.evaluation);
  // Of a tree those are chosen that it has.
  if (o.tree.empty()) o.evaluation.most_images = o.most_images;
  o.corruptions = corruptions_of(o.choice.names);
  o.severities = severities_of(o.choice);
  expect(
      o.tree.empty() || (o.frost.empty() && !o.frost_five && o.jpeg_quality < 0),
      "--frost, --frost-five, --jpeg-quality: say how images are corrupted; those of --tree are");
  if (!o.tree.empty() && !path_is_folder(o.tree))
    fail(ErrorKind::data, "--tree: {}: no such folder", o.tree);
  expect(!o.frost_five || !o.frost.empty(), "--frost-five: goes with --frost");
  if (!o.frost.empty())
    o.corruption.frost_pictures =
        std::make_shared<const FrostPictures>(read_frost_pictures(o.frost));
  o.corruption.frost_five = o.frost_five;
  o.corruption.seed = o.evaluation.run.seed;
  expect(o.reference.empty() || o.severities.size() == kSeverities,
         "--mce-reference: its errors are means over all five severities; {} are asked for",
         o.severities.size());
  if (!o.reference.empty()) reference_of(o.reference);
  expect(o.output.empty() || !path_is_file(o.output), "-o: {}: a file; name a folder", o.output);
}

}  // namespace pal
