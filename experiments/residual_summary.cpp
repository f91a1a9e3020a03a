#include "experiments/residual_summary.h"

#include <algorithm>

#include "layers/models/resnet.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr const char* kPool = "max pool";
constexpr const char* kLinear = "mean, linear";

void add_subnet(const std::string& name, const Subnet& subnet, DType input_dtype, DType compute,
                BlockSummary& block) {
  SubnetSummary summary;
  summary.name = name;
  summary.layers = subnet.summary(block.input, input_dtype);
  for (size_t i = 0; i < summary.layers.size(); ++i) {
    block.parameters += summary.layers[i].parameters;
    block.multiply_adds += summary.layers[i].multiply_adds;
    // The first layer's input is the block's.
    if (i > 0) summary.kept_bytes += summary.layers[i].kept_bytes;
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

/// Most that is alive while a subnet is differentiated: inputs that are still kept, but for the
/// first layer's, and the gradients of one layer's output (`grad_output` for the last) and input.
int64_t backward_peak(const SubnetSummary& subnet, int64_t grad_output) {
  int64_t kept = subnet.kept_bytes;
  int64_t most = 0;
  for (size_t i = subnet.layers.size(); i-- > 0;) {
    const int64_t input = subnet.layers[i].kept_bytes;
    most = std::max(most, kept + grad_output + input);
    kept -= i > 0 ? input : 0;
    grad_output = input;
  }
  return most;
}

/// Of one sample in one residual block.
struct ResidualMemory {
  int64_t input = 0;
  int64_t stored = 0;  ///< by the store policy, beside the input
  int64_t peak = 0;    ///< in its backward pass, with its input
};

ResidualMemory residual_memory(const BlockSummary& block, ActivationPolicy policy) {
  const SubnetSummary& branch = block.subnets[0];
  const SubnetSummary* shortcut = block.subnets.size() > 1 ? &block.subnets[1] : nullptr;
  const int64_t x = branch.layers[0].kept_bytes;
  const int64_t y = branch.output_bytes;
  ResidualMemory memory;
  memory.input = x;
  memory.stored = branch.kept_bytes + (shortcut ? shortcut->kept_bytes + y : 0);
  // A block that ran again holds its result and the gradient of that to the end.
  const int64_t held = policy == ActivationPolicy::recompute ? 2 * y : 0;
  // The sum: y, its gradient and that of both summands, which is one tensor.
  memory.peak = memory.stored + 3 * y;
  if (shortcut != nullptr) {
    // The branch's result waits, in the memory of y.
    memory.peak = std::max(memory.peak,
                           branch.kept_bytes + std::max(held, y) + y + backward_peak(*shortcut, 0));
    memory.peak = std::max(memory.peak, held + x + backward_peak(branch, y));
  } else {
    memory.peak = std::max(memory.peak, held + y + backward_peak(branch, 0));
  }
  // Two gradients of x and their sum.
  memory.peak = x + std::max(memory.peak, held + 3 * x);
  return memory;
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
  if (config.entry == EntryKind::entry)
    add_block(begin("maxpool", kPool,
                    {1, kStemPool.out_size(shape[1]), kStemPool.out_size(shape[2]), shape[3]}),
              model);
  for (const auto& [name, residual] : net.blocks()) {
    BlockSummary block =
        begin(name, config.subnet == SubnetKind::bottleneck ? "bottleneck" : "basic",
              residual->output_shape(shape));
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

int64_t resnet_activation_bytes(const ModelSummary& model, ActivationPolicy policy, int64_t batch) {
  expect(policy != ActivationPolicy::invert, "activation_bytes: a ResNet cannot be inverted");
  const SubnetSummary& stem = model.blocks[0].subnets[0];
  // The image itself counts as data, its copy in another dtype does not.
  const bool copied = model.config.compute != DType::f32;
  int64_t kept = (copied ? model.blocks[0].input.numel() * size_of(model.config.compute) : 0) +
                 stem.kept_bytes;
  int64_t peak = kept + stem.kept_bytes + stem.output_bytes;
  for (const BlockSummary& block : model.blocks) {
    if (block.kind == kPool) {
      const int64_t taps = block.output.numel();
      const int64_t pooled = taps * size_of(model.config.compute);
      kept += stem.output_bytes + taps;
      peak = std::max(peak, kept + stem.output_bytes + pooled);
    }
    if (block.kind == kLinear || block.kind == kPool || &block == model.blocks.data()) continue;
    const ResidualMemory memory = residual_memory(block, policy);
    peak = std::max(peak, kept + memory.peak);
    kept += memory.input + (policy == ActivationPolicy::store ? memory.stored : 0);
  }
  return batch * peak;
}

}  // namespace pal
