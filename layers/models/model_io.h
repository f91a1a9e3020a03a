#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "layers/checkpoint/checkpoint.h"
#include "layers/models/ib_inn.h"

namespace pal {

/// How images become network inputs: x = (v/255 - mean) / std per colour; and the names of the
/// classes. Stored in every checkpoint and used by every program.
struct InputSpec {
  std::vector<float> mean;
  std::vector<float> std;
  std::vector<std::string> class_names;
};

/// Where a training run stands.
struct Progress {
  int64_t step = 0;
  int64_t epoch = 0;
  int64_t samples_seen = 0;
};

/// A model, its inputs and its progress as a checkpoint: `model.<name>` for every parameter and
/// buffer; with `momentum`, the optimizer's, which has an element per value of the parameter store
/// in its order, `optimizer.momentum.<name>` too. `extra` metadata is added as it is.
Checkpoint to_checkpoint(const Model& model, const InputSpec& input, const Progress& progress,
                         const Tensor* momentum,
                         const std::map<std::string, std::string>& extra = {});

/// Copies `model.*` (and, into `momentum` unless null, the optimizer's) into an existing model.
/// Every tensor is checked before the first is copied: a missing, unknown or ill-shaped one throws
/// data naming `path`, the tensor, what was wanted and what was found.
void load_state(const Checkpoint& checkpoint, const std::string& path, Model& model,
                const Tensor* momentum);

/// The configuration, inputs and progress that a checkpoint records. Throw data naming `path`.
ModelConfig checkpoint_config(const Checkpoint& checkpoint, const std::string& path);
InputSpec checkpoint_input(const Checkpoint& checkpoint, const std::string& path);
Progress checkpoint_progress(const Checkpoint& checkpoint);

/// A trained model from a file, ready for evaluation. `compute`, `dct-reported` and other fields
/// may be changed before building by `adjust`.
struct LoadedModel {
  std::unique_ptr<Model> model;
  InputSpec input;
  Progress progress;
  Checkpoint checkpoint;  ///< metadata only
};
LoadedModel load_model(const std::string& path,
                       const std::function<void(ModelConfig&)>& adjust = {});
/// The model as an invertible network. Throws usage, naming `path`, if it is none.
IbInn& flow_of(const LoadedModel& loaded, const std::string& path);

}  // namespace pal
