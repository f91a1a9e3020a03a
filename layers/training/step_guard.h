#pragma once
#include <string>

#include "kernels/optimizer/step_guard.h"
#include "runtime/tensor.h"

namespace pal {

/// What a guard of training steps bears in mind (kernels/optimizer/step_guard.h), on the host.
struct GuardState {
  StepVerdict verdict = StepVerdict::taken;  ///< of the last step
  int64_t not_finite_in_row = 0;
  int64_t outliers_in_row = 0;
  int64_t not_finite = 0;  ///< steps of the run that were skipped as not finite
  int64_t outliers = 0;    ///< and as outliers
  int64_t updates = 0;     ///< updates that were made
  double power1 = 1.0;
  double power2 = 1.0;
  int64_t norms = 0;
  double norm_mean = 0.0;
  double norm_variance = 0.0;

  bool operator==(const GuardState&) const = default;
  int64_t skipped() const { return not_finite + outliers; }

  /// From the kGuardValues numbers of a guard, and into a tensor f64 [kGuardValues] on any device.
  static GuardState from(const double* values);
  void write_to(const Tensor& guard) const;

  /// As a JSON object, and back; what a text of an older version lacks keeps its start. Throws what
  /// the JSON library throws for another type.
  std::string json() const;
  static GuardState from_json(const std::string& text);
};

}  // namespace pal
