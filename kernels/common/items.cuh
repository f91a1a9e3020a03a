#pragma once
#include "kernels/common/block.cuh"
#include "kernels/common/items.h"

namespace pal::cuda {

/// The thread's first work item.
__device__ inline uint32_t first_item() { return blockIdx.x * blockDim.x + threadIdx.x; }
/// The distance from one work item of a thread to its next.
__device__ inline uint32_t item_step() { return gridDim.x * blockDim.x; }

}  // namespace pal::cuda
