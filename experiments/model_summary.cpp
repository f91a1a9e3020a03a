#include "experiments/model_summary.h"

#include <algorithm>

#include "experiments/residual_summary.h"
#include "layers/coupling_block.h"
#include "layers/models/ib_inn.h"

namespace pal {
namespace {

int64_t count_parameters(const StateList& state, ParameterGroup group) {
  int64_t count = 0;
  for (const Parameter* p : state.parameters)
    if (p->group == group) count += p->shape.numel();
  return count;
}

bool is_norm(const LayerSummary& layer) { return layer.kind.rfind("batch norm", 0) == 0; }

SubnetSummary summarize_subnet(const CouplingBlock::NamedSubnet& named, const Shape& block_input,
                               DType compute) {
  SubnetSummary subnet;
  subnet.name = named.name;
  const Shape input = named.input_shape(block_input, named.in_channels);
  subnet.layers = named.subnet->summary(input);
  subnet.output_bytes = named.subnet->output_shape(input).numel() * size_of(compute);
  int64_t kept = 0;
  int64_t most = 0;
  for (size_t i = 0; i < subnet.layers.size(); ++i) {
    // A batch norm at the front reads the stream in place and adds its gradient there.
    const bool in_place = i == 0 && is_norm(subnet.layers[i]);
    const int64_t input_bytes = in_place ? 0 : subnet.layers[i].kept_bytes;
    const bool last = i + 1 == subnet.layers.size();
    const int64_t grad_output = last ? 0 : subnet.layers[i + 1].kept_bytes;
    kept += input_bytes;
    most = std::max(most, kept + grad_output + input_bytes);
  }
  subnet.kept_bytes = kept;
  subnet.backward_bytes = 2 * subnet.output_bytes + most;
  return subnet;
}

void add_coupling(const CouplingBlock& block, const ModelConfig& config, BlockSummary& summary) {
  for (const auto& named : block.subnets()) {
    summary.subnets.push_back(summarize_subnet(named, summary.input, config.compute));
    for (const LayerSummary& layer : summary.subnets.back().layers)
      summary.multiply_adds += layer.multiply_adds;
  }
  const int64_t pixels = summary.output[1] * summary.output[2];
  summary.multiply_adds += pixels * block.mixing().multiply_adds();
  summary.dense_mixing = pixels * block.out_channels() * block.out_channels();
  if (!block.mixing().is_index()) summary.mixing_bytes = 2 * summary.output_bytes();
  if (summary.subnets.size() < 2) return;
  // Two-sided couplings: y2, x1 and their gradients; then x2 and its gradient too.
  const int64_t first =
      summary.input_bytes() * block.subnets()[0].in_channels / summary.input.last();
  const int64_t second = summary.input_bytes() - first;
  summary.second_half_bytes = 2 * (first + second);
  summary.first_half_bytes = summary.second_half_bytes + 2 * second;
}

}  // namespace

int64_t BlockSummary::stored_bytes() const {
  int64_t bytes = 0;
  for (const SubnetSummary& subnet : subnets) bytes += subnet.kept_bytes + subnet.output_bytes;
  return bytes;
}

int64_t BlockSummary::transient_bytes(bool tapes_first) const {
  if (subnets.empty()) return 0;
  if (subnets.size() == 1) return mixing_bytes + subnets[0].backward_bytes;
  const SubnetSummary& first = subnets[0];
  const SubnetSummary& second = subnets[1];
  const int64_t waiting = tapes_first ? first.kept_bytes + first.output_bytes : 0;
  // The second subnet's turn comes first and has no gradient of x yet.
  const int64_t early = waiting + second_half_bytes + second.backward_bytes - input_bytes();
  const int64_t late = first_half_bytes + 2 * second.output_bytes + first.backward_bytes;
  return mixing_bytes + std::max(early, late);
}

std::vector<ActivationPolicy> policies_of(ModelFamily family) {
  std::vector<ActivationPolicy> policies = {ActivationPolicy::store, ActivationPolicy::recompute};
  if (family == ModelFamily::flow) policies.push_back(ActivationPolicy::invert);
  return policies;
}

ModelSummary summarize_model(const ModelConfig& config) {
  if (config.family == ModelFamily::resnet) return summarize_resnet(config);
  ModelSummary model;
  model.config = config;
  InvertibleChain chain;
  build_chain(config, chain);
  Shape shape{1, config.image_size, config.image_size, config.channels};
  for (int i = 0; i < chain.size(); ++i) {
    BlockSummary block;
    block.name = chain.name(i);
    block.kind = chain.block(i).kind();
    block.input = shape;
    block.output = chain.block(i).output_shape(shape);
    StateList state;
    chain.block(i).collect(block.name + ".", state);
    block.parameters = count_parameters(state, ParameterGroup::network);
    if (const auto* coupling = dynamic_cast<const CouplingBlock*>(&chain.block(i)))
      add_coupling(*coupling, config, block);
    model.parameters_network += block.parameters;
    model.multiply_adds += block.multiply_adds;
    model.multiply_adds_dense_mixing += block.dense_mixing;
    shape = block.output;
    model.blocks.push_back(std::move(block));
  }
  MixtureHead head(mixture_spec(config));
  StateList means;
  head.collect(means);
  model.parameters_total =
      model.parameters_network + count_parameters(means, ParameterGroup::means);
  return model;
}

int64_t activation_bytes(const ModelSummary& model, ActivationPolicy policy, int64_t batch) {
  if (model.config.family == ModelFamily::resnet)
    return resnet_activation_bytes(model, policy, batch);
  const bool keeps_input = policy != ActivationPolicy::invert;
  int64_t kept = 0;
  int64_t peak = 0;
  for (size_t i = 0; i < model.blocks.size(); ++i) {
    const BlockSummary& block = model.blocks[i];
    const int64_t own_input = i == 0 && keeps_input ? 0 : block.input_bytes();
    const int64_t stream = own_input + block.input_bytes() + 2 * block.output_bytes();
    peak = std::max(peak, kept + stream + block.transient_bytes(keeps_input));
    if (keeps_input) kept += own_input;
    if (policy == ActivationPolicy::store) kept += block.stored_bytes();
  }
  return batch * peak;
}

}  // namespace pal
