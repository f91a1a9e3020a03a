// ResNets in torchvision's names (layers/models/README.md, 8).
#include "layers/models/import_tensors.h"

namespace pal {
namespace {

ModelConfig infer(const ImportTensors& tensors, std::optional<EntryKind> entry) {
  ModelConfig config = preset("resnet50");
  const std::string stem = "conv1.weight";
  config.entry_width = tensors.extent(stem, 0);
  config.channels = tensors.extent(stem, 1);
  const int64_t kernel = tensors.extent(stem, 2);
  if (kernel != 7 && kernel != 3)
    tensors.refuse(stem, "expected a 7x7 or 3x3 kernel, found {}", kernel);
  // Torchvision's names with a 3x3 kernel are those of networks for CIFAR.
  config.entry = entry.value_or(kernel == 7 ? EntryKind::entry : EntryKind::cifar);
  expect((config.entry == EntryKind::entry) == (kernel == 7),
         "--entry: {}: {} has a {}x{} kernel, so expected {}", tensors.source().file(), stem,
         kernel, kernel, kernel == 7 ? "entry" : "haar or cifar");
  config.image_size = kernel == 7 ? 224 : 32;
  config.subnet =
      tensors.contains("layer1.0.conv3.weight") ? SubnetKind::bottleneck : SubnetKind::basic;
  config.blocks.clear();
  config.strides.clear();
  config.widths.clear();
  const auto first_weight = [&](size_t stage, int64_t block) {
    return fmt::format("layer{}.{}.conv1.weight", stage, block);
  };
  for (size_t stage = 1; tensors.contains(first_weight(stage, 0)); ++stage) {
    int64_t blocks = 0;
    while (tensors.contains(first_weight(stage, blocks))) ++blocks;
    config.blocks.push_back(blocks);
    config.widths.push_back(tensors.extent(first_weight(stage, 0), 0));
    // Strides leave no trace in a state dictionary; these are the standard ones.
    config.strides.push_back(stage == 1 ? 1 : 2);
  }
  config.classes = tensors.extent("fc.weight", 0);
  const ModelConfig standard = preset("resnet50");
  if (config.blocks != standard.blocks || config.widths != standard.widths ||
      config.subnet != standard.subnet || config.entry != standard.entry)
    config.arch = "resnet";
  return config;
}

}  // namespace

ImportedModel import_resnet(ImportTensors& tensors, const InputSpec& input,
                            std::optional<EntryKind> entry) {
  ImportedModel imported;
  imported.config = infer(tensors, entry);
  if (!entry && imported.config.entry == EntryKind::cifar)
    imported.assumed.emplace_back(
        "a 3x3 convolution of stride 1 at the front (--entry cifar), as networks for CIFAR have; "
        "--entry haar: of stride 2");
  const auto network = imported_network(imported.config, tensors.source().file());
  fill_checkpoint(imported, *network, input, [&](const std::string& name, const Shape& shape) {
    return tensors.take(name, shape);
  });
  const auto counter = [](const std::string& name) -> std::optional<std::string> {
    if (name.ends_with(".num_batches_tracked")) return "num_batches_tracked";
    return std::nullopt;
  };
  imported.ignored = tensors.count_leftovers(counter, "not a tensor of this ResNet");
  imported.non_finite = tensors.non_finite();
  return imported;
}

}  // namespace pal
