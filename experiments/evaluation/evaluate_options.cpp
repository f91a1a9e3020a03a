#include "experiments/evaluation/evaluate_options.h"

#include <CLI/CLI.hpp>
#include <filesystem>

#include "layers/checkpoint/checkpoint.h"
#include "runtime/error.h"

namespace pal {
namespace {

Split split_of(const std::string& text) {
  for (const Split split : {Split::train, Split::validation, Split::test, Split::all})
    if (text == name_of(split)) return split;
  fail(ErrorKind::usage, "--split: expected train, val, test or all, got '{}'", text);
}

}  // namespace

void add_evaluate_options(CLI::App& app, EvaluateOptions& o) {
  app.add_option(
         "CHECKPOINT", o.checkpoints,
         "checkpoints or run folders, then perhaps the folder of the data; else the data that the "
         "run was trained on")
      ->required();
  const std::string data = "Data";
  add_data_options(app, o.data, data);
  app.add_option("--split", o.split_text,
                 "test (or val, where there is no test), val, train or all")
      ->group(data)
      ->capture_default_str();
  app.add_option("-b,--batch-size", o.batch_size,
                 "images per batch; default: 500 small ones; of 224 x 224, 19 on a CPU "
                 "and 265 on a GPU")
      ->group(data);
  app.add_option("--crops", o.crops,
                 "views of each picture of a folder: 1, or 10 (corners, middle, mirrored)")
      ->group(data)
      ->capture_default_str();
  app.add_flag("--allow-other-classes", o.allow_other_classes,
               "take classes by position if the model does not know their names")
      ->group(data);
  app.add_option("--ood", o.ood, "another data set, to be told from this one by its densities")
      ->group(data);
  app.add_option("--ood-folder", o.ood_folder, "where that data set lies")->group(data);
  const std::string model = "Model and results";
  app.add_option("--recalibrate-bn", o.recalibrate,
                 "average batch-norm statistics over so many training batches first")
      ->group(model)
      ->capture_default_str();
  app.add_option("--dct-log-det", o.dct_log_det,
                 "true, or reported: the value in the published losses")
      ->group(model)
      ->capture_default_str();
  app.add_flag("--baseline", o.baseline,
               "also bits/dim of independent Gaussians, fitted to the training images")
      ->group(model);
  app.add_option("--save-outputs", o.outputs, "write one line per image to a CSV file")
      ->group(model)
      ->type_name("FILE");
  app.add_option("--save-latents", o.latents,
                 "write the noise-free latent vectors to a safetensors file")
      ->group(model)
      ->type_name("FILE");
  app.add_option("--summary", o.summary, "also put the results into this JSON file, beside others")
      ->group(model)
      ->type_name("FILE");
  add_run_options(app, o.run);
}

void finish_evaluate_options(EvaluateOptions& o) {
  std::error_code ignored;
  if (o.checkpoints.size() > 1 && std::filesystem::is_directory(o.checkpoints.back(), ignored) &&
      !holds_checkpoints(o.checkpoints.back())) {
    o.data.folder = o.checkpoints.back();
    o.checkpoints.pop_back();
  }
  o.split = split_of(o.split_text);
  expect(o.batch_size == -1 || o.batch_size >= 1, "--batch-size: expected at least 1, got {}",
         o.batch_size);
  expect(o.crops == 1 || o.crops == 10, "--crops: expected 1 or 10, got {}", o.crops);
  check_data_options(o.data);
  expect(o.recalibrate >= 0, "--recalibrate-bn: expected at least 0, got {}", o.recalibrate);
  expect(o.dct_log_det == "true" || o.dct_log_det == "reported",
         "--dct-log-det: expected true or reported, got '{}'", o.dct_log_det);
  for (const auto& [flag, file] : {std::pair("--save-outputs", o.outputs),
                                   {"--save-latents", o.latents},
                                   {"--summary", o.summary}})
    expect(file.empty() || o.checkpoints.size() == 1, "{}: one checkpoint at a time, got {}", flag,
           o.checkpoints.size());
  expect(o.latents.empty() || o.crops == 1,
         "--save-latents: a vector for each image, not for each of {} crops", o.crops);
  for (std::string& path : o.checkpoints) path = checkpoint_of(path);
}

}  // namespace pal
