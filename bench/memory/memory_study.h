#pragma once
#include <cstdint>
#include <string>

#include "autograd/invertible.h"
#include "runtime/allocator.h"

namespace pal::bench {

/// One training step whose memory is measured.
struct MemoryCase {
  std::string network;  ///< "chain" or "ibinn-imagenet"
  /// Blocks of a chain; multiples of the stages 3, 4, 6, 3 of ibinn-imagenet.
  int64_t depth = 1;
  ActivationPolicy policy = ActivationPolicy::invert;
  int64_t batch = 4;
  /// Of the subnets; the stream is f32.
  DType compute = DType::f32;
  Device device;
};

struct MemoryRow {
  MemoryCase what;
  int64_t blocks = 0;  ///< coupling blocks
  /// Peaks of one step (forward, loss, backward) after everything has been built.
  MemoryStats stats;
};

/// Builds the network and runs one step on random images, without anchors. A chain is `depth` slow
/// couplings with bottleneck subnets of width 64 on 56x56x48, differentiating ||y||^2 / 2 -
/// log_det. Act norm starts at 1 and the subnets' last convolutions at a tenth of their usual
/// deviation in both networks: at the preset's scale of 0.7, far deeper networks than the preset
/// shrink their stream below what float32 can invert. Throws environment beyond the allocator's
/// limit.
MemoryRow measure_memory(const MemoryCase& what);

}  // namespace pal::bench
