#include "layers/models/import_model.h"

#include "layers/models/import_tensors.h"

namespace pal {

std::unique_ptr<Model> imported_network(const ModelConfig& config, const std::string& file) {
  try {
    return build_model(config);
  } catch (const Error& error) {
    fail(ErrorKind::data, "{}: no network fits these tensors: {}", file, error.what());
  }
}

void fill_checkpoint(
    ImportedModel& imported, const Model& network, const InputSpec& input,
    const std::function<Tensor(const std::string& name, const Shape& shape)>& make) {
  InputSpec named = input;
  const int64_t classes = imported.config.classes;
  if (named.class_names.empty())
    for (int64_t y = 0; y < classes; ++y) named.class_names.push_back(std::to_string(y));
  expect(static_cast<int64_t>(named.class_names.size()) == classes,
         "class-names: {} names for a network of {} classes", named.class_names.size(), classes);
  imported.checkpoint = to_checkpoint(network, named, {});
  auto& tensors = imported.checkpoint.tensors;
  tensors.clear();
  std::map<std::string, Shape> weights;
  for (const Parameter* p : network.state().parameters) {
    tensors.emplace_back("model." + p->name, make(p->name, p->shape));
    weights.emplace(p->name, p->shape);
    imported.parameters += p->shape.numel();
  }
  for (const Buffer& b : network.state().buffers) {
    // Running statistics lie beside the weight of their batch norm and have its shape.
    const std::string layer = b.name.substr(0, b.name.rfind('.') + 1);
    const auto weight = weights.find(layer + "weight");
    tensors.emplace_back(
        "model." + b.name,
        make(b.name, b.moves && weight != weights.end() ? weight->second : Shape()));
  }
}

ImportedModel import_model(const TensorSource& source, const InputSpec& input,
                           const ImportChoice& choice) {
  const ImportNetwork network = chosen_network(source, choice.key);
  ImportTensors tensors(source, network);
  if (network.layout == ImportLayout::resnet) return import_resnet(tensors, input, choice.entry);
  expect(!choice.entry, "--entry: says what a ResNet begins with; {} holds an IB-INN",
         source.file());
  return import_ib_inn(tensors, input);
}

}  // namespace pal
