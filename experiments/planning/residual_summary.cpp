#include "experiments/planning/residual_summary.h"

#include "layers/models/resnet.h"

namespace pal {
namespace {

constexpr const char* kPool = "max pool";
constexpr const char* kLinear = "mean, linear";

void add_subnet(const std::string& name, const Subnet& subnet, DType input_dtype, DType compute,
                BlockSummary& block) {
  SubnetSummary summary;
  summary.name = name;
  summary.layers = subnet.summary(block.input, input_dtype);
  for (const LayerSummary& layer : summary.layers) {
    block.parameters += layer.parameters;
    block.multiply_adds += layer.multiply_adds;
  }
  summary.output_bytes = subnet.output_shape(block.input).numel() * size_of(compute);
  block.subnets.push_back(std::move(summary));
}

void add_block(BlockSummary block, ModelSummary& model) {
  if (block.kind != kLinear) model.parameters_network += block.parameters;
  model.parameters_total += block.parameters;
  model.multiply_adds += block.multiply_adds;
  model.blocks.push_back(std::move(block));
}

}  // namespace

ModelSummary summarize_resnet(const ModelConfig& config) {
  const ResNet net(config);
  ModelSummary model;
  model.config = config;
  Shape shape{1, config.image_size, config.image_size, config.channels};
  const auto begin = [&](const std::string& name, const std::string& kind, const Shape& output) {
    BlockSummary block;
    block.name = name;
    block.kind = kind;
    block.input = shape;
    block.output = shape = output;
    return block;
  };
  BlockSummary stem = begin("stem", "convolution", net.stem().output_shape(shape));
  add_subnet("stem", net.stem(), DType::f32, config.compute, stem);
  add_block(std::move(stem), model);
  if (config.entry == EntryKind::entry) {
    BlockSummary pool =
        begin("maxpool", kPool,
              {1, kStemPool.out_size(shape[1]), kStemPool.out_size(shape[2]), shape[3]});
    pool.window = kStemPool;
    add_block(std::move(pool), model);
  }
  for (const auto& [name, residual] : net.blocks()) {
    BlockSummary block =
        begin(name, config.subnet == SubnetKind::bottleneck ? "bottleneck" : "basic",
              residual->output_shape(shape));
    block.has_policy = true;
    add_subnet("branch", residual->branch(), config.compute, config.compute, block);
    if (residual->shortcut() != nullptr)
      add_subnet("downsample", *residual->shortcut(), config.compute, config.compute, block);
    add_block(std::move(block), model);
  }
  BlockSummary linear = begin("fc", kLinear, {1, config.classes});
  linear.multiply_adds = config.classes * net.features();
  linear.parameters = linear.multiply_adds + config.classes;
  add_block(std::move(linear), model);
  return model;
}

}  // namespace pal
