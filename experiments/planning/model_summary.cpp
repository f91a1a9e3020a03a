#include "experiments/planning/model_summary.h"

#include "experiments/planning/residual_summary.h"
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

SubnetSummary summarize_subnet(const CouplingBlock::NamedSubnet& named, const Shape& block_input,
                               DType compute) {
  SubnetSummary subnet;
  subnet.name = named.name;
  const Shape input = named.input_shape(block_input, named.in_channels);
  subnet.layers = named.subnet->summary(input);
  subnet.output_bytes = named.subnet->output_shape(input).numel() * size_of(compute);
  return subnet;
}

void add_coupling(const CouplingBlock& block, const ModelConfig& config, BlockSummary& summary) {
  for (const auto& named : block.subnets()) {
    summary.subnets.push_back(summarize_subnet(named, summary.input, config.compute));
    for (const LayerSummary& layer : summary.subnets.back().layers)
      summary.multiply_adds += layer.multiply_adds;
  }
  const int64_t pixels = summary.output[1] * summary.output[2];
  summary.mixing = pixels * block.mixing().multiply_adds();
  summary.multiply_adds += summary.mixing;
  summary.dense_mixing = pixels * block.out_channels() * block.out_channels();
}

}  // namespace

std::vector<ActivationPolicy> policies_of(ModelFamily family) {
  std::vector<ActivationPolicy> policies;
  for (const ActivationPolicy policy : kActivationPolicies)
    if (family == ModelFamily::flow || keeps_input(policy)) policies.push_back(policy);
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
    block.has_policy = true;
    block.input = shape;
    block.output = chain.block(i).output_shape(shape);
    if (block.output.rank() == 4) {
      const int64_t factor = block.input[1] / block.output[1];
      block.window = {factor, factor, 0};
    }
    StateList state;
    chain.block(i).collect(block.name + ".", state);
    block.parameters = count_parameters(state, ParameterGroup::network);
    if (const auto* coupling = dynamic_cast<const CouplingBlock*>(&chain.block(i)))
      add_coupling(*coupling, config, block);
    model.parameters_network += block.parameters;
    model.multiply_adds += block.multiply_adds;
    model.multiply_adds_mixing += block.mixing;
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

}  // namespace pal
