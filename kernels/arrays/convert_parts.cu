#include "kernels/arrays/convert_parts.h"

#include "kernels/arrays/convert_parts_check.h"
#include "kernels/common/block.cuh"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

/// Where a part begins in both buffers, and its elements.
struct Part {
  int32_t from;
  int32_t to;
  int32_t count;
};

__global__ void __launch_bounds__(kThreads)
    convert_parts_kernel(const float* from, const Part* parts, int64_t count, bfloat16* to) {
  for (int64_t i = blockIdx.x; i < count; i += gridDim.x) {
    const Part part = parts[i];
    const float* source = from + part.from;
    bfloat16* target = to + part.to;
    // Parts may begin anywhere, so a thread takes single elements; the caches join them.
#pragma unroll 4
    for (int k = static_cast<int>(threadIdx.x); k < part.count; k += kThreads)
      target[k] = bfloat16(source[k]);
  }
}

}  // namespace

void convert_parts(const Tensor& from, const Tensor& parts, const Tensor& to) {
  check_convert_parts(from, parts, to);
  const ProfileScope profile("convert_parts", to.bytes() + 2 * to.bytes());
  launch(convert_parts_kernel, grid_for(parts.size(0), 1), kThreads, 0, stream(),
         from.data<float>(), reinterpret_cast<const Part*>(parts.data<int32_t>()), parts.size(0),
         to.data<bfloat16>());
}

}  // namespace pal::cuda
