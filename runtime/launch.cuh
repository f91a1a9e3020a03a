#pragma once
// What every file of CUDA kernels includes: kernels are launched through `launch` and keep shared
// memory in the two macros, so that the same files run on the CPU in the emulator of the tests.
#ifdef PAL_EMULATE_CUDA
#include "tests/emulator/cuda_emulator.h"
#else
#include <cuda_runtime.h>
#endif

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <utility>

#include "runtime/cuda.h"
#include "runtime/error.h"

#ifdef PAL_EMULATE_CUDA
// A key per place: each block gets its own array, which sanitizers watch.
#define PAL_SHARED(T, name, n) \
  static char name##_key;      \
  T* name = ::emulator::shared<T>(&name##_key, (n))
#define PAL_SHARED_DYNAMIC(T, name) T* name = ::emulator::dynamic_shared<T>()
#else
#define PAL_SHARED(T, name, n) __shared__ T name[n]
#define PAL_SHARED_DYNAMIC(T, name)                             \
  extern __shared__ __align__(16) unsigned char pal_dynamic_[]; \
  T* name = reinterpret_cast<T*>(pal_dynamic_)
#endif

/// Throws with the call, the place and the driver's text unless a CUDA call succeeds.
#define PAL_CUDA_CHECK(call) ::pal::cuda::check((call), #call, __FILE__, __LINE__)

namespace pal::cuda {

/// Throws unless `status` is success: environment for lack of memory or of a device, failure for
/// anything else. For PAL_CUDA_CHECK.
void check(cudaError_t status, const char* call, const char* file, int line);

/// The stream of all work but uploads and sums over ranks; the first call selects a GPU if none
/// was.
cudaStream_t stream();
/// Any of the streams.
cudaStream_t stream(Stream which);

/// At least `count` zeros in the GPU's memory, at most 65,536, for kernels whose blocks count each
/// other: they must be zeros again when a kernel ends, as all launches of the stream share them.
unsigned* tickets(int64_t count);

/// Most blocks of a grid-stride launch. Results never depend on it.
int64_t max_blocks();
/// For tests: another cap, so that few elements are more than one grid; 0 restores.
void set_max_blocks(int64_t blocks);

/// Blocks for a grid-stride loop over `items` with `per_block` items a block and turn.
inline unsigned grid_for(int64_t items, int64_t per_block) {
  return static_cast<unsigned>(
      std::clamp<int64_t>((items + per_block - 1) / per_block, 1, max_blocks()));
}

/// kernel<<<grid, block, shared_bytes, stream>>>(args...), checked.
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
            cudaStream_t on, Arguments&&... arguments) {
#ifdef PAL_EMULATE_CUDA
  ::emulator::launch(kernel, grid, block, shared_bytes, on, std::forward<Arguments>(arguments)...);
#else
  // The kernel copies its parameters during the call.
  const std::tuple<Parameters...> values(static_cast<Parameters>(arguments)...);
  std::apply(
      [&](const auto&... value) {
        void* pointers[] = {const_cast<void*>(static_cast<const void*>(&value))..., nullptr};
        PAL_CUDA_CHECK(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, block,
                                        pointers, shared_bytes, on));
      },
      values);
#endif
  PAL_CUDA_CHECK(cudaGetLastError());
}

#ifdef PAL_EMULATE_CUDA
/// For tests whose ranks are threads: while it lives, the calling thread has an emulated GPU, with
/// streams, of its own. Allocators are still the process's.
class ThreadDevice {
 public:
  explicit ThreadDevice(int index);
  ~ThreadDevice();
  ThreadDevice(const ThreadDevice&) = delete;
  ThreadDevice& operator=(const ThreadDevice&) = delete;
};
#endif

}  // namespace pal::cuda
