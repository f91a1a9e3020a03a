#include "experiments/evaluation/evaluate_options.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "data/variants/variant_set.h"
#include "experiments/command_line/output_file.h"
#include "experiments/report/published.h"
#include "layers/checkpoint/checkpoint_reader.h"
#include "layers/models/model_io.h"
#include "runtime/error.h"
#include "runtime/paths.h"
#include "runtime/text.h"

namespace pal {

namespace {

/// Refuses the first argument that is not there, with a name beside it that may be meant.
void expect_files(const std::vector<std::string>& paths) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  for (const std::string& path : paths) {
    if (path_exists(path) || path_exists(path + ".safetensors")) continue;
    const fs::path folder = fs::path(path).parent_path();
    std::vector<std::string> beside;
    for (const auto& entry : fs::directory_iterator(folder.empty() ? "." : folder, ignored))
      beside.push_back(entry.path().filename().string());
    const std::string nearest = nearest_name(fs::path(path).filename().string(), beside);
    fail(ErrorKind::data,
         "{}: no such file or folder; expected checkpoints, run folders, and "
         "perhaps the folder of the data{}",
         path,
         nearest.empty() ? "" : fmt::format("; did you mean {}?", (folder / nearest).string()));
  }
}

/// Refuses a --beta that a checkpoint contradicts, or that is a ResNet's, before any is evaluated.
void expect_betas(const EvaluateOptions& o) {
  for (size_t i = 0; i < o.checkpoints.size(); ++i) {
    const std::string& path = o.checkpoints[i];
    const Checkpoint checkpoint = load_header(path);
    beta_of(o, i, training_recipe(checkpoint, path));
    const bool flow = checkpoint_config(checkpoint, path).family == ModelFamily::flow;
    expect(flow || o.checkpoints.size() > 1, "--beta: {} only classifies and has none", path);
  }
}

/// Refuses --published where no checkpoint has published figures.
void expect_published(const EvaluateOptions& o) {
  std::vector<std::string> found;
  for (size_t i = 0; i < o.checkpoints.size(); ++i) {
    const std::string& path = o.checkpoints[i];
    const Checkpoint checkpoint = load_header(path);
    const bool flow = checkpoint_config(checkpoint, path).family == ModelFamily::flow;
    const auto beta = beta_of(o, i, training_recipe(checkpoint, path));
    if (published_evaluation(flow, beta) != nullptr) return;
    found.push_back(beta ? fmt::format("{}", *beta) : "unknown (--beta)");
  }
  fail(ErrorKind::usage,
       "--published: the paper has figures of beta 0, 1, 2, 4, 8, 16, 32 and inf, and of a ResNet; "
       "here beta is {}",
       fmt::join(found, ", "));
}

/// What a file of arrays or of a table is written as stands at the end of its name, if anything does.
void expect_suffix(const char* flag, const std::string& path,
                   const std::vector<std::string>& known) {
  const std::string suffix = lower_case(std::filesystem::path(path).extension().string());
  expect(suffix.empty() || std::ranges::find(known, suffix) != known.end(),
         "{}: {}: expected a name that ends in {}{}", flag, path, fmt::join(known, " or "),
         suffix == ".npz" ? "; pal-convert makes an .npz of that" : "");
}

}  // namespace

void add_evaluate_options(OptionTable& table, EvaluateOptions& o) {
  table.positionals(
      "CHECKPOINT", o.checkpoints,
      "Checkpoints or run folders, then perhaps the folder of the data; else the data "
      "that the run was trained on");
  table.group("Data");
  add_data_options(table, o.data);
  table.choice<Split>("split", o.split,
                      {{"test", Split::test},
                       {"val", Split::validation},
                       {"train", Split::train},
                       {"all", Split::all}},
                      "The part of the data (test: val, where there is no test)");
  table
      .whole("batch-size", o.batch_size,
             "Images per batch; auto: 500 small ones; of 224 x 224, 19 on a CPU and 265 on a GPU")
      .letter('b')
      .unit("IMAGES")
      .at_least(1)
      .word("auto", -1);
  table
      .whole("crops", o.crops,
             "Views of each picture of a folder: 1, or 10 (corners, middle, mirrored)")
      .values({"1", "10"});
  table.toggle("allow-other-classes", o.allow_other_classes,
               "Take classes by position if the model does not know their names");
  table.toggle(
      "restrict-classes", o.restrict_classes,
      "Where the data lack some of the model's classes (ImageNet-A has 200), choose answers "
      "among those that they have; false: among all");
  table
      .texts("ood", o.ood,
             "Another data set, to be told from this one: a name, a folder, an IDX file of images, "
             "or made of these images: hflip, vflip, inverted, low-contrast, noise, shuffled, "
             "constant; with a calibration also by the p-values of familiarity")
      .unit("SET");
  table
      .text("ood-folder", o.ood_folder,
            "Where that data set lies, of a single --ood that is a name")
      .unit("DIR");
  table.group("Model and results");
  table
      .numbers("beta", o.betas, 0,
               "What the checkpoints were trained with, one for each, where they do not record it "
               "(pal-convert)")
      .at_least(0)
      .word("inf", std::numeric_limits<double>::infinity());
  table
      .whole("recalibrate-bn", o.recalibrate,
             "Average batch-norm statistics over so many training batches first")
      .unit("BATCHES")
      .at_least(0);
  table.choice<bool>("dct-log-det", o.dct_reported, {{"true", false}, {"reported", true}},
                     "Log-determinant of the DCT: the true one, or that of the published losses");
  table.toggle("baseline", o.baseline,
               "Also bits/dim of independent Gaussians, fitted to the training images");
  table.toggle("calibrate", o.calibrate,
               "Fit a temperature, sets of classes and p-values of familiarity to the images that "
               "the run held out, keep them beside the model, and try them on these images");
  table
      .file("calibration", o.calibration,
            "The file that --calibrate writes, or that --ood looks for familiarity in")
      .shown_default("calibration/DIGEST.safetensors in the run folder");
  table.file("save-outputs", o.outputs,
             "Write one line per image to a CSV file; arrays, if it ends in .safetensors");
  table
      .text("figures", o.figures,
            "Write into this folder, as CSV and SVG: calibration (the paper's Fig. 14, Table 6), "
            "risk against coverage, bits/dim against accuracy (Fig. 2, Table 2), and how likely "
            "the images are beside those of --ood (Fig. 8)")
      .unit("DIR");
  table.toggle("published", o.published,
               "Beside checkpoints of a published beta, and ResNets, the paper's figures (ImageNet "
               "at 224, ten crops) in tables, JSON and the CSV of --figures, there also bits_paper "
               "= L_X / ln 2 + 7.078: for comparison with its Table 2 only");
  table.file("save-latents", o.latents,
             "Write latents, scores, log_det, labels and indices of the noise-free images to a "
             "safetensors file: enough for q(y|x) and ln q(x) in any language");
  table.file("summary", o.summary, "Also put the results into this JSON file, beside others");
  add_run_options(table, o.run);
}

void finish_evaluate_options(EvaluateOptions& o) {
  expect(!o.checkpoints.empty(), "CHECKPOINT: none is given; name a run folder or a checkpoint");
  if (o.checkpoints.size() > 1 && path_is_folder(o.checkpoints.back()) &&
      !holds_checkpoints(o.checkpoints.back())) {
    o.data.folder = o.checkpoints.back();
    o.checkpoints.pop_back();
  }
  settle_data(o.data);
  expect(o.crops == 1 || o.crops == 10, "--crops: expected 1 or 10, got {}", o.crops);
  for (const auto& [flag, file] : {std::pair("--calibration", o.calibration),
                                   {"--save-outputs", o.outputs},
                                   {"--save-latents", o.latents},
                                   {"--summary", o.summary}})
    expect(file.empty() || o.checkpoints.size() == 1, "{}: one checkpoint at a time, got {}", flag,
           o.checkpoints.size());
  expect(o.calibration.empty() || o.calibrate || !o.ood.empty(),
         "--calibration: goes with --calibrate, or with --ood");
  for (size_t i = 0; i < o.ood.size(); ++i)
    expect(std::find(o.ood.begin(), o.ood.begin() + static_cast<std::ptrdiff_t>(i), o.ood[i]) ==
               o.ood.begin() + static_cast<std::ptrdiff_t>(i),
           "--ood: {} is given twice", o.ood[i]);
  expect(o.ood_folder.empty() || o.ood.empty() || !variant_of(o.ood[0]),
         "--ood-folder: {} is made of the evaluated images", o.ood.empty() ? "" : o.ood[0]);
  expect(!o.calibrate || o.recalibrate == 0,
         "--calibrate: would be of other statistics than the checkpoint's; without "
         "--recalibrate-bn");
  expect(!o.calibrate || o.crops == 1, "--calibrate: of one view of an image, not of {} crops",
         o.crops);
  check_output_file("--calibration", o.calibration);
  check_output_file("--save-outputs", o.outputs);
  check_output_file("--save-latents", o.latents);
  check_output_file("--summary", o.summary);
  expect_suffix("--save-outputs", o.outputs, {".csv", ".safetensors"});
  expect_suffix("--save-latents", o.latents, {".safetensors"});
  std::vector<std::string> outputs;
  for (const std::string& file : {o.calibration, o.outputs, o.latents, o.summary}) {
    if (file.empty()) continue;
    expect(std::ranges::find(outputs, file) == outputs.end(), "{}: two results for one file", file);
    outputs.push_back(file);
  }
  expect(o.ood_folder.empty() || o.ood.size() == 1, "--ood-folder: goes with one --ood");
  expect(o.latents.empty() || o.crops == 1,
         "--save-latents: a vector for each image, not for each of {} crops", o.crops);
  expect_files(o.checkpoints);
  for (std::string& path : o.checkpoints) {
    path = checkpoint_of(path);
    // A broken one is better found before the first is evaluated.
    if (o.checkpoints.size() > 1) load_metadata(path);
  }
  expect(o.betas.empty() || o.betas.size() == o.checkpoints.size(),
         "--beta: expected one for each of {} checkpoints, got {}", o.checkpoints.size(),
         o.betas.size());
  if (!o.betas.empty()) expect_betas(o);
  if (o.published) expect_published(o);
}

std::optional<double> beta_of(const EvaluateOptions& options, size_t which,
                              const TrainingRecipe& recipe) {
  const std::vector<double>& given = options.betas;
  if (!recipe.recorded) return given.empty() ? std::nullopt : std::optional(given[which]);
  expect(given.empty() || given[which] == recipe.beta, "--beta: {} was trained with {}, not {}",
         options.checkpoints[which], recipe.beta, given.empty() ? 0.0 : given[which]);
  return recipe.beta;
}

}  // namespace pal
