#include "kernels/optimizer/step_guard.h"

#include "kernels/optimizer/step_guard_check.h"
#include "kernels/optimizer/step_guard_math.h"
#include "runtime/profiler.h"

namespace pal::cpu {

void judge_step(const Tensor& loss, const Tensor& squared_norms, const Tensor& limits,
                const Tensor& controls, const Tensor& guard) {
  check_judge_step(loss, squared_norms, limits, controls, guard);
  const ProfileScope scope("judge_step", controls.bytes() + guard.bytes());
  step_guard_math::judge(*loss.data<double>(), squared_norms.data<double>(), limits.data<double>(),
                         controls.data<double>(), guard.data<double>());
}

void restore_unless_taken(const Tensor& values, const Tensor& kept, const Tensor& guard) {
  check_restore(values, kept, guard);
  const ProfileScope scope("restore_unless_taken", guard.bytes());
  if (guard.data<double>()[kVerdict] != static_cast<double>(StepVerdict::taken))
    values.copy_from(kept);
}

}  // namespace pal::cpu
