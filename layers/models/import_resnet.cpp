// ResNets in torchvision's names (layers/models/README.md, 8).
#include <algorithm>

#include "layers/models/import_tensors.h"

namespace pal {
namespace {

constexpr std::string_view kFirst = "layer1.0.conv1.weight";

ModelConfig infer(const ImportTensors& tensors, const std::string& prefix) {
  ModelConfig config = preset("resnet50");
  const std::string stem = prefix + "conv1.weight";
  config.entry_width = tensors.extent(stem, 0);
  config.channels = tensors.extent(stem, 1);
  const int64_t kernel = tensors.extent(stem, 2);
  if (kernel != 7 && kernel != 3)
    tensors.refuse(stem, "expected a 7x7 or 3x3 kernel, found {}", kernel);
  config.entry = kernel == 7 ? EntryKind::entry : EntryKind::haar;
  config.image_size = kernel == 7 ? 224 : 32;
  config.subnet = tensors.contains(prefix + "layer1.0.conv3.weight") ? SubnetKind::bottleneck
                                                                     : SubnetKind::basic;
  config.blocks.clear();
  config.strides.clear();
  config.widths.clear();
  const auto first_weight = [&](size_t stage, int64_t block) {
    return fmt::format("{}layer{}.{}.conv1.weight", prefix, stage, block);
  };
  for (size_t stage = 1; tensors.contains(first_weight(stage, 0)); ++stage) {
    int64_t blocks = 0;
    while (tensors.contains(first_weight(stage, blocks))) ++blocks;
    config.blocks.push_back(blocks);
    config.widths.push_back(tensors.extent(first_weight(stage, 0), 0));
    // Strides leave no trace in a state dictionary; these are the standard ones.
    config.strides.push_back(stage == 1 ? 1 : 2);
  }
  config.classes = tensors.extent(prefix + "fc.weight", 0);
  const ModelConfig standard = preset("resnet50");
  if (config.blocks != standard.blocks || config.widths != standard.widths ||
      config.subnet != standard.subnet || config.entry != standard.entry)
    config.arch = "resnet";
  return config;
}

}  // namespace

std::optional<std::string> resnet_prefix(const TensorSource& source) {
  std::optional<std::string> prefix;
  for (const SourceTensor& tensor : source.tensors()) {
    if (!tensor.name.ends_with(kFirst)) continue;
    const std::string found = tensor.name.substr(0, tensor.name.size() - kFirst.size());
    if (!found.empty() && !found.ends_with('.')) continue;
    if (source.find(found + "conv1.weight") == nullptr ||
        source.find(found + "fc.weight") == nullptr)
      continue;
    if (prefix)
      fail(ErrorKind::data, "{}: two networks, {} and {}", source.file(),
           printable(*prefix + "conv1.weight"), printable(found + "conv1.weight"));
    prefix = found;
  }
  return prefix;
}

ImportedModel import_resnet(const TensorSource& source, const InputSpec& input) {
  const std::string prefix = *resnet_prefix(source);
  ImportTensors tensors(source);
  ImportedModel imported;
  imported.config = infer(tensors, prefix);
  const auto network = imported_network(imported.config, source.file());
  fill_checkpoint(imported, *network, input, [&](const std::string& name, const Shape& shape) {
    return tensors.take(prefix + name, shape);
  });
  for (const SourceTensor& tensor : source.tensors()) {
    if (tensors.is_used(tensor.name)) continue;
    if (tensor.name.ends_with(".num_batches_tracked"))
      ++imported.ignored["num_batches_tracked"];
    else if (tensor.name.starts_with(prefix))
      tensors.refuse(tensor.name, "not a tensor of this ResNet");
    else
      ++imported.ignored[ImportTensors::shown(tensor.name.substr(0, tensor.name.find('.')))];
  }
  imported.non_finite = tensors.non_finite();
  return imported;
}

}  // namespace pal
