#pragma once
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/batches/batches.h"
#include "experiments/recipe/train_table.h"
#include "layers/checkpoint/checkpoint.h"

namespace pal {

/// What a checkpoint records of the run that made it, as far as evaluation needs it.
struct TrainingRecipe {
  bool recorded = false;              ///< else all are defaults (a checkpoint of pal-convert)
  std::string dataset;                ///< a known set, kRecordedFolder, or empty
  std::vector<std::string> left_out;  ///< classes that the run was trained without
  double beta = 1.0;                  ///< 0 to infinity
  double smoothing = 0.05;            ///< of the labels
  double validation = 0.0;  ///< share or number of held-out images; see `split_validation`
  LoaderOptions loader;     ///< of training
  OptimizerSpec optimizer;
  UpdateOptions update;  ///< with the rates that its schedule multiplied
};

/// Options by the table that knows them, with the values that a checkpoint records.
struct RecordedOptions {
  TrainOptions options;
  OptionTable table{"pal-train", ""};
};

/// The options that decide a run's numbers, as the JSON that checkpoints record.
std::string recipe_json(const OptionTable& table, const TrainOptions& options);

/// What all ranks of a run must have been told alike, as an object of texts by option: where to write
/// and when to stop, but else nothing of a process or a machine, nor paths, whose contents are
/// compared.
nlohmann::json shared_options(const OptionTable& table);

/// Reads such a JSON; options that it lacks keep their defaults. Throws data, naming `path`, for
/// text of another form or values that an option refuses.
std::unique_ptr<RecordedOptions> recorded_options(const std::string& json, const std::string& path);

/// The recipe that a checkpoint records; defaults where it has none. Throws as `recorded_options`.
TrainingRecipe training_recipe(const Checkpoint& checkpoint, const std::string& path);

/// Indices of the images that a run of this recipe held out to choose its checkpoints, of a set
/// whose training part (or the set itself, if it is not divided) has `info`; none unless
/// `fingerprint`, which the checkpoint recorded, says that the run was trained on it.
std::vector<int64_t> held_out_images(const DatasetSpec& spec, const DatasetInfo& info,
                                     const TrainingRecipe& recipe, const std::string& fingerprint);

/// How pictures are decoded for an evaluation: as the options say, or where they leave it open as
/// the run had it.
TransformSpec evaluation_transform(const DataOptions& options, const TrainingRecipe& recipe);

}  // namespace pal
