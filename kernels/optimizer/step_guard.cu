#include "kernels/optimizer/step_guard.h"

#include "kernels/arrays/elementwise_map.cuh"
#include "kernels/common/gpu_dtypes.h"
#include "kernels/optimizer/step_guard_check.h"
#include "kernels/optimizer/step_guard_math.h"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

__global__ void __launch_bounds__(32)
    judge_step_kernel(const double* loss, const double* squared_norms, const double* limits,
                      double* controls, double* guard) {
  if (threadIdx.x == 0) step_guard_math::judge(*loss, squared_norms, limits, controls, guard);
}

struct Restore {
  Matrix<float> values;
  Matrix<const float> kept;
  const double* guard;

  __device__ bool begin() const {
    return guard[kVerdict] != static_cast<double>(StepVerdict::taken);
  }

  template <int kWidth>
  __device__ void run(int64_t row, int64_t column) const {
    store_vector(values.at(row, column), kept.template load<kWidth>(row, column));
  }
};

}  // namespace

void judge_step(const Tensor& loss, const Tensor& squared_norms, const Tensor& limits,
                const Tensor& controls, const Tensor& guard) {
  check_judge_step(loss, squared_norms, limits, controls, guard);
  const ProfileScope scope("judge_step", controls.bytes() + guard.bytes());
  launch(judge_step_kernel, 1, 32, 0, stream(), loss.data<double>(), squared_norms.data<double>(),
         limits.data<double>(), controls.data<double>(), guard.data<double>());
}

void restore_unless_taken(const Tensor& values, const Tensor& kept, const Tensor& guard) {
  check_restore(values, kept, guard);
  expect_gpu_stream("restore_unless_taken", values.dtype());
  const ProfileScope scope("restore_unless_taken", guard.bytes());
  const Restore body{Matrix<float>(values), Matrix<const float>(kept), guard.data<double>()};
  map_elements<kVectorWidth<float>>(body, {&values, &kept});
}

}  // namespace pal::cuda
