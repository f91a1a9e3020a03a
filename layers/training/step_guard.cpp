#include "layers/training/step_guard.h"

#include <array>
#include <limits>
#include <type_traits>

#include "runtime/json.h"

namespace pal {
namespace {

/// Calls visit(place on the device, key in JSON, field) for all of a state but its verdict.
template <typename State, typename Visit>
void each_field(State& state, Visit&& visit) {
  visit(kNotFiniteInRow, "not_finite_in_row", state.not_finite_in_row);
  visit(kOutliersInRow, "outliers_in_row", state.outliers_in_row);
  visit(kNotFinite, "not_finite", state.not_finite);
  visit(kOutliers, "outliers", state.outliers);
  visit(kUpdates, "updates", state.updates);
  visit(kPower1, "power1", state.power1);
  visit(kPower2, "power2", state.power2);
  visit(kNorms, "norms", state.norms);
  visit(kNormMean, "norm_mean", state.norm_mean);
  visit(kNormVariance, "norm_variance", state.norm_variance);
}

}  // namespace

GuardState GuardState::from(const double* values) {
  GuardState state;
  state.verdict = static_cast<StepVerdict>(static_cast<int>(values[kVerdict]));
  each_field(state, [values](GuardValue place, const char*, auto& field) {
    field = static_cast<std::remove_reference_t<decltype(field)>>(values[place]);
  });
  return state;
}

void GuardState::write_to(const Tensor& guard) const {
  std::array<double, kGuardValues> values{};
  values[kVerdict] = static_cast<double>(verdict);
  each_field(*this, [&values](GuardValue place, const char*, const auto& field) {
    values[place] = static_cast<double>(field);
  });
  // Set anew by every step.
  values[kAverageRate] = std::numeric_limits<double>::quiet_NaN();
  guard.copy_from(Tensor::borrowed(values.data(), {kGuardValues}, DType::f64, Device()));
}

std::string GuardState::json() const {
  nlohmann::ordered_json entries;
  each_field(*this,
             [&entries](GuardValue, const char* key, const auto& field) { entries[key] = field; });
  return json_text(entries);
}

GuardState GuardState::from_json(const std::string& text) {
  const auto entries = parse_json(text);
  GuardState state;
  each_field(state, [&entries](GuardValue, const char* key, auto& field) {
    field = entries.value(key, field);
  });
  return state;
}

}  // namespace pal
