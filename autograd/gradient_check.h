#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/tensor.h"

namespace pal {

/// A tensor that a loss depends on and the tensor that its analytic gradient goes to: f64, equal
/// shapes, any pitch.
struct CheckedTensor {
  std::string name;
  Tensor value;
  Tensor gradient;
};

/// How check_gradients measures and compares.
struct GradientCheckOptions {
  /// Central differences over value +- step * max(1, |value|). 1e-5 balances their error in the
  /// third derivative with rounding: about 1e-10 of a loss of order 1.
  double step = 1e-5;
  /// Entries of each tensor to check, a random subset drawn from `seed`; 0: all.
  int64_t most_entries = 0;
  uint64_t seed = 0;
  /// Errors are relative to the tensor's largest gradient, or to this share of the largest gradient
  /// of all tensors where that is more (gradients that vanish but for rounding).
  double floor = 1e-3;
  /// An entry with a larger relative error is measured again with a tenth and a hundredth of the
  /// step, and the best counts: a step across the corner of a ReLU is not a wrong gradient.
  double suspect = 1e-7;
};

/// What check_gradients found: the entry with the largest error. No entry (index -1) if nothing was
/// checked or no error found.
struct GradientReport {
  double worst = 0.0;  ///< relative error; infinity if a gradient is not finite
  std::string name;
  int64_t index = -1;  ///< counted row by row
  double analytic = 0.0;
  double numeric = 0.0;
  int64_t entries = 0;  ///< how many were checked

  /// "s.0.weight[17]: analytic 0.25, numeric 0.26, relative error 1e-02 (340 entries)"
  std::string text() const;
};

/// Compares analytic gradients with central differences. `loss` evaluates the scalar from the
/// values as they are; `backward` is called once, after all gradients were set to zero, and adds to
/// them. Values are changed during the check and restored. Throws usage for a tensor that is not
/// f64.
GradientReport check_gradients(const std::function<double()>& loss,
                               const std::function<void()>& backward,
                               const std::vector<CheckedTensor>& tensors,
                               const GradientCheckOptions& options = {});

}  // namespace pal
