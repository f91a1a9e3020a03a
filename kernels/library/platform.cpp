#include "kernels/library/platform.h"

#include <dnnl.h>
#include <fmt/core.h>

#include "kernels/common/vector.h"

namespace pal {

std::string cpu_library_version() {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("oneDNN {}.{}.{}", version->major, version->minor, version->patch);
}

#if !defined(PAL_CUDA) || defined(PAL_EMULATE_CUDA)
std::string cuda_library_versions() { return {}; }
#endif

std::string instruction_level() {
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
  return "x86-64-v4";
#elif defined(__AVX2__) && defined(__FMA__) && defined(__BMI2__)
  return "x86-64-v3";
#elif defined(__SSE4_2__)
  return "x86-64-v2";
#elif defined(__x86_64__)
  return "x86-64";
#else
  return "baseline";
#endif
}

bool loops_have_library_width() {
#if defined(__x86_64__)
  const auto isa = static_cast<unsigned>(dnnl_get_effective_cpu_isa());
  const auto has = [&](unsigned wanted) { return (isa & wanted) == wanted; };
  const int library = has(dnnl_cpu_isa_avx512_core) ? 64 : has(dnnl_cpu_isa_avx) ? 32 : 16;
  return kVectorBytes >= library;
#else
  return true;
#endif
}

bool cpu_has_bf16() { return __builtin_cpu_supports("avx512bw") != 0; }
bool cpu_has_native_bf16() { return __builtin_cpu_supports("avx512bf16") != 0; }

}  // namespace pal
