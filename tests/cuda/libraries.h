#pragma once
#include "kernels/library/cuda_settings.h"

// What the tests of the library-backed families share.
namespace pal::test {

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
