#pragma once
#include "kernels/library/cuda_settings.h"
#include "kernels/library/platform.h"

// What the tests of the library-backed families share.
namespace pal::test {

/// Whether products in bf16 can be computed: always on a GPU; in the emulator as on the CPU.
inline bool library_has_bf16() {
#ifdef PAL_EMULATE_CUDA
  return cpu_has_bf16();
#else
  return true;
#endif
}

/// Settings of the GPU's libraries until the end of the scope.
class MathScope {
 public:
  explicit MathScope(CudaMath math) : before_(cuda_math()) { cuda_math() = math; }
  ~MathScope() { cuda_math() = before_; }
  MathScope(const MathScope&) = delete;
  MathScope& operator=(const MathScope&) = delete;

 private:
  CudaMath before_;
};

}  // namespace pal::test
