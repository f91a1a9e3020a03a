// How many nodes the graph of a training step has. Each costs about a microsecond of waiting on a
// GPU, whatever it does.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <iostream>

#include "layers/models/ib_inn.h"
#include "layers/training/optimizer.h"
#include "runtime/cuda_graph.h"
#include "tests/cuda/parity.h"
#include "tests/support/random_batch.h"
#ifdef PAL_EMULATE_CUDA
#include "tests/emulator/control.h"
#endif

namespace pal::test {
namespace {

/// All blocks of ibinn-imagenet, on small images and with narrow subnets.
ModelConfig narrow_imagenet(DType compute) {
  ModelConfig config = preset("ibinn-imagenet");
  config.image_size = 64;
  config.classes = 8;
  config.widths = {8, 8, 8, 8};
  config.entry_width = 8;
  config.rank = 8;
  config.compute = compute;
  return config;
}

/// Nodes of a step of training as TrainStep records it. Nothing is computed here.
int64_t nodes_of(ActivationPolicy policy, DType compute) {
  const ModelConfig config = narrow_imagenet(compute);
  IbInn model(config, 3);
  model.to(gpu());
  model.set_policy({policy});
  Optimizer sgd(model.parameters());
  const testing::RandomBatch batch = testing::seeded_batch(config, 2);
  const Tensor images = on_gpu(batch.images);
  const Tensor targets = on_gpu(batch.targets);
  Allocator::Pool pool(model.device());
  const Allocator::PoolScope scope(pool);
  CudaGraph graph;
  graph.capture([&] {
    model.parameters().zero_grad();
    sgd.keep_statistics();
    const LossResult result = model.forward_backward(images, targets, {});
    sgd.apply(result.summary.view_at(0, {1}), false);
  });
#ifdef PAL_EMULATE_CUDA
  const emulator::GraphNodes nodes = emulator::captured_nodes();
  EXPECT_EQ(nodes.total(), graph.nodes());
  // For the tables of bench/NOTES.md.
  std::cout << fmt::format(
      "{} {}: {} nodes: {} kernels, {} calls of libraries, {} copies, {} fills\n", name_of(policy),
      name_of(compute), nodes.total(), nodes.kernels, nodes.library, nodes.copies, nodes.fills);
#endif
  return graph.nodes();
}

TEST(CudaGraphNodes, AreFew) {
  EXPECT_LT(nodes_of(ActivationPolicy::store, DType::bf16), 800);
  EXPECT_LT(nodes_of(ActivationPolicy::invert, DType::bf16), 1000);
  EXPECT_LT(nodes_of(ActivationPolicy::recompute, DType::bf16), 1000);
  EXPECT_LT(nodes_of(ActivationPolicy::store, DType::f32), 800);
}

}  // namespace
}  // namespace pal::test
