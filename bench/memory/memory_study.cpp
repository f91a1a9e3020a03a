#include "bench/memory/memory_study.h"

#include "bench/support/random_images.h"
#include "layers/models/ib_inn.h"
#include "layers/slow_coupling.h"
#include "runtime/error.h"

namespace pal::bench {
namespace {

constexpr uint64_t kSeed = 1;
constexpr double kSubnetGain = 0.1;

MemoryStats chain_step(const MemoryCase& what) {
  CouplingSpec spec;
  spec.compute = what.compute;
  InvertibleChain chain;
  for (int64_t i = 0; i < what.depth; ++i)
    chain.add(std::make_unique<SlowCoupling>(
                  48, spec, [](int64_t out) { return bottleneck_subnet(64, out, 1, kSubnetGain); }),
              "blocks." + std::to_string(i));
  chain.set_options({.policies = {what.policy}, .anchors = {}});
  StateList state;
  chain.collect(state);
  ParameterStore store;
  store.materialise(state.parameters, DType::f32, kSeed);
  for (int i = 0; i < chain.size(); ++i) chain.block(i).initialise(DType::f32, kSeed);
  if (what.device.is_cuda()) {
    store.to(what.device);
    for (const Buffer& b : state.buffers) *b.tensor = b.tensor->to(what.device, Tag::parameters);
    for (int i = 0; i < chain.size(); ++i) chain.block(i).refresh();
  }
  const DeviceScope device(what.device);
  const Variable x(random_images({what.batch, 56, 56, 48}).to(what.device, Tag::data));
  Allocator& allocator = Allocator::of(what.device);
  allocator.reset_peaks();
  const auto result = chain.forward(x, Phase::train);
  const Tensor grad_log_det = Tensor::empty({what.batch}, DType::f64, Tag::stream);
  grad_log_det.fill(-1.0);
  backward({result.y, result.log_det}, {result.y.value(), grad_log_det});
  return allocator.stats();
}

ModelConfig deep_imagenet(const MemoryCase& what) {
  ModelConfig config = preset("ibinn-imagenet");
  for (int64_t& blocks : config.blocks) blocks *= what.depth;
  config.act_norm_init = 1.0;
  config.subnet_gain = kSubnetGain;
  config.compute = what.compute;
  return config;
}

int64_t coupling_blocks(const InvertibleChain& chain) {
  int64_t count = 0;
  for (int i = 0; i < chain.size(); ++i)
    count += dynamic_cast<CouplingBlock*>(&chain.block(i)) != nullptr ? 1 : 0;
  return count;
}

MemoryRow imagenet_step(const MemoryCase& what) {
  IbInn model(deep_imagenet(what), kSeed);
  model.to(what.device);
  model.chain().set_options({.policies = {what.policy}, .anchors = {}});
  const int64_t size = model.config().image_size;
  const Tensor x =
      random_images({what.batch, size, size, model.config().channels}).to(what.device, Tag::data);
  const Tensor targets =
      one_hot_targets(what.batch, model.config().classes).to(what.device, Tag::data);
  Allocator& allocator = Allocator::of(what.device);
  allocator.reset_peaks();
  model.forward_backward(x, targets, {});
  return {what, coupling_blocks(model.chain()), allocator.stats()};
}

}  // namespace

MemoryRow measure_memory(const MemoryCase& what) {
  expect(what.depth >= 1 && what.depth <= 4096, "--depths: expected 1 to 4096, got {}", what.depth);
  expect(what.batch >= 1 && what.batch <= 4096, "--batch: expected 1 to 4096, got {}", what.batch);
  if (what.network == "chain") return {what, what.depth, chain_step(what)};
  expect(what.network == "ibinn-imagenet", "--network: expected chain or ibinn-imagenet, got {}",
         what.network);
  return imagenet_step(what);
}

}  // namespace pal::bench
