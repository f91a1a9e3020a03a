#include "experiments/robustness/ood_options.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "data/sources/class_names.h"
#include "data/variants/variant_set.h"
#include "runtime/error.h"
#include "runtime/paths.h"
#include "runtime/text.h"

namespace pal {
namespace {

std::vector<std::string> score_names() {
  std::vector<std::string> names;
  for (const ForeignScore score : all_foreign_scores()) names.emplace_back(name_of(score));
  return names;
}

}  // namespace

void add_ood_options(OptionTable& table, OodOptions& o) {
  table.positional("CHECKPOINT", o.checkpoint, "A run folder or a checkpoint");
  table.positional("DIR", o.evaluation.data.folder,
                   "The folder of the familiar images; else the data that the run was trained on");
  table.group("Foreign images");
  table
      .texts(
          "against", o.against,
          "Foreign sets, up to the next option: names (digits), folders of pictures, tar shards, "
          "IDX files of images; made of the familiar images: hflip, vflip, inverted, "
          "low-contrast, noise, shuffled, constant; and heldout:CLASS,... of a model of "
          "pal-train --exclude-classes")
      .unit("SET...")
      .many();
  table
      .file("suite", o.suite,
            "A TOML file of sections [near], [far] and [covariate-shifted], each with sets = "
            "[\"SET\", ...]: tables then have their means too")
      .unit("FILE");
  table
      .text("scores", o.scores,
            "Only these, with commas between: " + fmt::format("{}", fmt::join(score_names(), ", ")))
      .unit("NAME,...")
      .shown_default("all that the model has");
  table
      .whole("reference", o.reference,
             "Training images that the tests know, at most, evenly spread; --seed moves them")
      .unit("IMAGES")
      .at_least(2);
  table
      .whole("images", o.evaluation.most_images,
             "At most so many images of each other set, evenly spread; all: every one")
      .unit("IMAGES")
      .at_least(2)
      .word("all", 0);
  table.group("Familiar images");
  add_data_options(table, o.evaluation.data);
  table.choice<Split>("split", o.evaluation.split,
                      {{"test", Split::test},
                       {"val", Split::validation},
                       {"train", Split::train},
                       {"all", Split::all}},
                      "The part of the data (test: val, where there is no test)");
  table.toggle("allow-other-classes", o.evaluation.allow_other_classes,
               "Take classes by position if the model does not know their names");
  table.group("Model and results");
  table
      .whole("batch-size", o.evaluation.batch_size,
             "Images per batch; auto: 500 small ones; of 224 x 224, 19 on a CPU and 265 on a GPU")
      .letter('b')
      .unit("IMAGES")
      .at_least(1)
      .word("auto", -1);
  table
      .file("calibration", o.evaluation.calibration,
            "What pal-evaluate --calibrate has learned, for the score familiarity")
      .shown_default("the one that belongs to the model");
  table
      .text("figures", o.figures,
            "Write into this folder: scores.csv (a line per image), detection.csv (a line per set "
            "and score), and for each set the paper's Fig. 8 and ROC curves as SVG")
      .letter('o')
      .unit("DIR");
  table.synonym("ood", "--against");
  table.synonym("output", "--figures");
  add_run_options(table, o.evaluation.run);
}

void finish_ood_options(OodOptions& o) {
  expect(!o.checkpoint.empty(),
         "CHECKPOINT: none is given; name a run folder or a checkpoint before --against");
  expect(!o.against.empty() || !o.suite.empty(),
         "--against: no foreign set is given; name some, such as --against digits noise");
  settle_data(o.evaluation.data);
  wanted_scores(o);
  if (path_is_file(o.figures))
    fail(ErrorKind::environment, "-o: {}: a file; name a folder", o.figures);
  o.evaluation.foreign_flag = "--against";
}

std::vector<ForeignScore> wanted_scores(const OodOptions& o) {
  std::vector<ForeignScore> scores;
  const auto all = all_foreign_scores();
  for (const std::string& name : listed_names(o.scores, "--scores")) {
    const auto found =
        std::ranges::find_if(all, [&](ForeignScore score) { return name == name_of(score); });
    const std::string nearest = nearest_name(name, score_names());
    expect(found != all.end(), "--scores: no score is called '{}'; {}", one_line(name),
           nearest.empty() ? fmt::format("there are {}", fmt::join(score_names(), ", "))
                           : fmt::format("did you mean {}?", nearest));
    scores.push_back(*found);
  }
  return scores;
}

}  // namespace pal
