#include "layers/training/step_guard.h"

#include <array>
#include <limits>

#include "runtime/json.h"

namespace pal {

GuardState GuardState::from(const double* values) {
  const auto count = [values](GuardValue place) { return static_cast<int64_t>(values[place]); };
  GuardState state;
  state.verdict = static_cast<StepVerdict>(count(kVerdict));
  state.not_finite_in_row = count(kNotFiniteInRow);
  state.outliers_in_row = count(kOutliersInRow);
  state.not_finite = count(kNotFinite);
  state.outliers = count(kOutliers);
  state.updates = count(kUpdates);
  state.power1 = values[kPower1];
  state.power2 = values[kPower2];
  state.norms = count(kNorms);
  state.norm_mean = values[kNormMean];
  state.norm_variance = values[kNormVariance];
  return state;
}

void GuardState::write_to(const Tensor& guard) const {
  std::array<double, kGuardValues> values{};
  const auto set = [&values](GuardValue place, auto value) {
    values[place] = static_cast<double>(value);
  };
  set(kVerdict, static_cast<int>(verdict));
  set(kNotFiniteInRow, not_finite_in_row);
  set(kOutliersInRow, outliers_in_row);
  set(kNotFinite, not_finite);
  set(kOutliers, outliers);
  set(kUpdates, updates);
  set(kPower1, power1);
  set(kPower2, power2);
  set(kNorms, norms);
  set(kNormMean, norm_mean);
  set(kNormVariance, norm_variance);
  // Set anew by every step.
  set(kAverageRate, std::numeric_limits<double>::quiet_NaN());
  guard.copy_from(Tensor::borrowed(values.data(), {kGuardValues}, DType::f64, Device()));
}

std::string GuardState::json() const {
  const nlohmann::ordered_json entries = {{"not_finite_in_row", not_finite_in_row},
                                          {"outliers_in_row", outliers_in_row},
                                          {"not_finite", not_finite},
                                          {"outliers", outliers},
                                          {"updates", updates},
                                          {"power1", power1},
                                          {"power2", power2},
                                          {"norms", norms},
                                          {"norm_mean", norm_mean},
                                          {"norm_variance", norm_variance}};
  return json_text(entries);
}

GuardState GuardState::from_json(const std::string& text) {
  const auto entries = parse_json(text);
  GuardState state;
  const auto read = [&entries](const char* key, auto& value) { value = entries.value(key, value); };
  read("not_finite_in_row", state.not_finite_in_row);
  read("outliers_in_row", state.outliers_in_row);
  read("not_finite", state.not_finite);
  read("outliers", state.outliers);
  read("updates", state.updates);
  read("power1", state.power1);
  read("power2", state.power2);
  read("norms", state.norms);
  read("norm_mean", state.norm_mean);
  read("norm_variance", state.norm_variance);
  return state;
}

}  // namespace pal
