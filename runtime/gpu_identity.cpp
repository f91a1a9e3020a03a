#include "runtime/gpu_identity.h"

#include "runtime/cuda.h"

#ifdef PAL_CUDA
#include "runtime/error.h"
#include "runtime/launch.cuh"
#endif

namespace pal {
namespace {

std::string gpu_identity([[maybe_unused]] int index) {
  std::string text;
#ifdef PAL_CUDA
  cudaDeviceProp properties;
  PAL_CUDA_CHECK(cudaGetDeviceProperties(&properties, index));
  for (const char byte : properties.uuid.bytes)
    text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
#endif
  return text;
}

}  // namespace

std::vector<std::string> gpu_identities() {
  std::vector<std::string> found;
  for (int i = 0; i < cuda::device_count(); ++i) found.push_back(gpu_identity(i));
  return found;
}

}  // namespace pal
