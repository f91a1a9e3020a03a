#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "layers/checkpoint/checkpoint.h"
#include "layers/models/ib_inn.h"

namespace pal {

/// How images become network inputs, and the names of the classes. Stored in every checkpoint.
struct InputSpec {
  /// Per colour, of pixels v in 0 to 255: x = (v / 255 - mean) / std.
  std::vector<float> mean;
  std::vector<float> std;
  std::vector<std::string> class_names;
};

/// Whether names of classes say no more than how many there are: "0" to "n - 1".
bool are_numbers(const std::vector<std::string>& names);

/// Where a training run stands.
struct Progress {
  int64_t step = 0;
  int64_t epoch = 0;
  int64_t samples_seen = 0;
};

/// Values beside a model's own, as an optimizer keeps them: one per value of its parameter store,
/// and perhaps one per running statistic, in the store's order.
struct FlatState {
  std::string prefix;  ///< of their names in checkpoints: "optimizer.momentum."
  Tensor parameters;
  Tensor statistics;  ///< may be undefined
};

/// A model, its inputs and its progress as a checkpoint: `model.<name>` for every parameter and
/// buffer, and `<prefix><name>` for the values of each of `states`. `extra` metadata is added as it
/// is.
Checkpoint to_checkpoint(const Model& model, const InputSpec& input, const Progress& progress,
                         const std::vector<FlatState>& states = {},
                         const std::map<std::string, std::string>& extra = {});

/// Copies `model.*` into an existing model, and what belongs to `states` into them. Every tensor is
/// checked before the first is copied: a missing, unknown or ill-shaped one throws data naming
/// `path`, the tensor, what was wanted and what was found.
void load_state(const Checkpoint& checkpoint, const std::string& path, Model& model,
                const std::vector<FlatState>& states = {});

/// The configuration that a checkpoint records, validated. Throws data naming `path`.
ModelConfig checkpoint_config(const Checkpoint& checkpoint, const std::string& path);
/// Normalisation and class names that a checkpoint records. Throws data naming `path`.
InputSpec checkpoint_input(const Checkpoint& checkpoint, const std::string& path);
/// The progress that a checkpoint records. Throws data.
Progress checkpoint_progress(const Checkpoint& checkpoint);

/// A trained model from a file, ready for evaluation.
struct LoadedModel {
  std::unique_ptr<Model> model;
  InputSpec input;
  Progress progress;
  Checkpoint checkpoint;  ///< metadata only
};
/// Reads a checkpoint and makes its model; `adjust` may change fields of its configuration before,
/// such as `compute` and `dct-reported`. Throws data naming `path` for a file that is broken or
/// does not hold the network that it says.
LoadedModel load_model(const std::string& path,
                       const std::function<void(ModelConfig&)>& adjust = {});
/// The model as an invertible network. Throws usage, naming `path`, if it is none.
IbInn& flow_of(const LoadedModel& loaded, const std::string& path);

}  // namespace pal
