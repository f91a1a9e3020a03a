#include "layers/models/model_io.h"

#include <set>

#include "layers/checkpoint/checkpoint_reader.h"
#include "runtime/error.h"
#include "runtime/json.h"

namespace pal {
namespace {

/// All tensors of a model that a checkpoint holds, under their file names.
std::vector<std::pair<std::string, Tensor>> named_tensors(const Model& model,
                                                          const std::vector<FlatState>& states) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const Parameter* p : model.state().parameters)
    tensors.emplace_back("model." + p->name, p->value);
  for (const Buffer& b : model.state().buffers)
    if (b.tensor->defined()) tensors.emplace_back("model." + b.name, *b.tensor);
  for (const FlatState& state : states) {
    int64_t offset = 0;
    for (const Parameter* p : model.parameters().parameters()) {
      tensors.emplace_back(state.prefix + p->name, state.parameters.view_at(offset, p->shape));
      offset += p->shape.numel();
    }
    if (!state.statistics.defined()) continue;
    offset = 0;
    for (const Buffer& b : model.parameters().statistics()) {
      tensors.emplace_back(state.prefix + b.name,
                           state.statistics.view_at(offset, b.tensor->shape()));
      offset += b.tensor->numel();
    }
  }
  return tensors;
}

nlohmann::json json_of(const Checkpoint& checkpoint, const std::string& path, const char* key) {
  const auto found = checkpoint.metadata.find(key);
  if (found == checkpoint.metadata.end())
    fail(ErrorKind::data, "{}: the metadata entry {} is missing", path, key);
  auto json = parse_json(found->second);
  if (json.is_discarded())
    fail(ErrorKind::data, "{}: the metadata entry {} is not JSON", path, key);
  return json;
}

[[noreturn]] void refuse_shape(const std::string& path, const std::string& name,
                               const std::string& wanted, const std::string& found) {
  fail(ErrorKind::data, "{}: {}: expected {}, found {}", path, name, wanted, found);
}

/// What is known of a tensor of a file before its values are read.
struct Kind {
  Shape shape;
  DType dtype;
};
using FindKind = std::function<std::optional<Kind>(const std::string& name)>;

/// Compares the parameters of a network that has no memory yet with the tensors of the file: a
/// hostile configuration cannot ask for more than the file holds.
void check_parameters(const FindKind& find, const std::string& path, const Model& model) {
  for (const Parameter* p : model.state().parameters) {
    const std::string name = "model." + p->name;
    const auto found = find(name);
    if (!found) fail(ErrorKind::data, "{}: {} is missing", path, name);
    if (found->shape != p->shape) refuse_shape(path, name, p->shape.str(), found->shape.str());
  }
}

/// Compares all targets with the tensors of the file, whose `names` are known.
void check_targets(const std::vector<std::pair<std::string, Tensor>>& targets,
                   const std::vector<std::string>& names, const FindKind& find,
                   const std::string& path) {
  std::set<std::string> known;
  for (const auto& [name, target] : targets) {
    known.insert(name);
    const auto found = find(name);
    if (!found) fail(ErrorKind::data, "{}: {} is missing", path, name);
    if (found->shape != target.shape() || found->dtype != target.dtype())
      refuse_shape(path, name,
                   fmt::format("{} of {}", target.shape().str(), name_of(target.dtype())),
                   fmt::format("{} of {}", found->shape.str(), name_of(found->dtype)));
  }
  for (const std::string& name : names)
    if (name.starts_with("model.") && !known.contains(name))
      fail(ErrorKind::data, "{}: {} is no tensor of this architecture", path, name);
}

template <typename T>
std::vector<T> list_of(const Checkpoint& checkpoint, const std::string& path, const char* key) {
  const auto json = json_of(checkpoint, path, key);
  std::vector<T> values;
  if (!json.is_array()) fail(ErrorKind::data, "{}: {}: expected a JSON array", path, key);
  for (const auto& entry : json) {
    const bool fits = std::is_same_v<T, std::string> ? entry.is_string() : entry.is_number();
    if (!fits) fail(ErrorKind::data, "{}: {}: an entry has the wrong type", path, key);
    values.push_back(entry.get<T>());
  }
  return values;
}

}  // namespace

bool are_numbers(const std::vector<std::string>& names) {
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] != std::to_string(i)) return false;
  return true;
}

Checkpoint to_checkpoint(const Model& model, const InputSpec& input, const Progress& progress,
                         const std::vector<FlatState>& states,
                         const std::map<std::string, std::string>& extra) {
  Checkpoint checkpoint;
  checkpoint.metadata = extra;
  checkpoint.metadata["architecture"] = model.config().arch;
  checkpoint.metadata["configuration"] = to_json(model.config());
  checkpoint.metadata["step"] = std::to_string(progress.step);
  checkpoint.metadata["epoch"] = std::to_string(progress.epoch);
  checkpoint.metadata["samples_seen"] = std::to_string(progress.samples_seen);
  checkpoint.metadata["class_names"] =
      json_text(nlohmann::json(input.class_names), -1, BadUtf8::replaced);
  checkpoint.metadata["mean"] = json_text(nlohmann::json(input.mean));
  checkpoint.metadata["std"] = json_text(nlohmann::json(input.std));
  checkpoint.tensors = named_tensors(model, states);
  return checkpoint;
}

void load_state(const Checkpoint& checkpoint, const std::string& path, Model& model,
                const std::vector<FlatState>& states) {
  const auto targets = named_tensors(model, states);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : checkpoint.tensors) names.push_back(name);
  const auto find = [&](const std::string& name) -> std::optional<Kind> {
    const Tensor* const found = checkpoint.find(name);
    if (found == nullptr) return std::nullopt;
    return Kind{found->shape(), found->dtype()};
  };
  check_targets(targets, names, find, path);
  for (const auto& [name, target] : targets) target.copy_from(*checkpoint.find(name));
  model.refresh();
}

ModelConfig checkpoint_config(const Checkpoint& checkpoint, const std::string& path) {
  const std::string json = json_text(json_of(checkpoint, path, "configuration"));
  try {
    const ModelConfig config = config_from_json(json, path);
    validate(config);
    return config;
  } catch (const Error& error) {
    // Whatever is wrong with it, it is the file's fault here, not the caller's.
    fail(ErrorKind::data, "{}: configuration: {}", path, error.what());
  }
}

InputSpec checkpoint_input(const Checkpoint& checkpoint, const std::string& path) {
  return {list_of<float>(checkpoint, path, "mean"), list_of<float>(checkpoint, path, "std"),
          list_of<std::string>(checkpoint, path, "class_names")};
}

Progress checkpoint_progress(const Checkpoint& checkpoint) {
  return {checkpoint.integer("step"), checkpoint.integer("epoch"),
          checkpoint.integer("samples_seen")};
}

IbInn& flow_of(const LoadedModel& loaded, const std::string& path) {
  auto* const flow = dynamic_cast<IbInn*>(loaded.model.get());
  expect(flow != nullptr, "{}: {} only classifies; this needs an invertible network", path,
         loaded.model->config().arch);
  return *flow;
}

LoadedModel load_model(const std::string& path, const std::function<void(ModelConfig&)>& adjust) {
  const CheckpointReader reader(path);
  const auto find = [&](const std::string& name) -> std::optional<Kind> {
    const TensorInfo* const found = reader.find(name);
    if (found == nullptr) return std::nullopt;
    const Shape shape = engine_shape(*found, path);
    return Kind{shape, *found->dtype};
  };
  std::vector<std::string> names;
  for (const TensorInfo& tensor : reader.tensors()) names.push_back(tensor.name);
  LoadedModel loaded;
  std::vector<std::pair<std::string, Tensor>> targets;
  try {
    loaded.checkpoint.metadata = reader.metadata();
    ModelConfig config = checkpoint_config(loaded.checkpoint, path);
    if (adjust) adjust(config);
    loaded.input = checkpoint_input(loaded.checkpoint, path);
    loaded.progress = checkpoint_progress(loaded.checkpoint);
    loaded.model = build_model(config);
    check_parameters(find, path, *loaded.model);
    loaded.model->materialise(std::nullopt);
    targets = named_tensors(*loaded.model, {});
    check_targets(targets, names, find, path);
  } catch (const Error&) {
    // Of a damaged file it is said that it is, not what the damage looks like.
    reader.verify();
    throw;
  }
  reader.read(targets);
  loaded.model->refresh();
  return loaded;
}

}  // namespace pal
