#pragma once
#include <vector>

#include "autograd/invertible.h"

namespace pal::testing {

/// Every policy with every form of its tapes, storing first; those that keep a block's input alone,
/// or also those for blocks that can be inverted.
inline std::vector<BlockPolicy> all_policies(bool invertible = true) {
  std::vector<BlockPolicy> all;
  for (const ActivationPolicy policy : kActivationPolicies)
    for (const TapeForm form : kTapeForms)
      if (invertible || keeps_input(policy)) all.emplace_back(policy, form);
  return all;
}

/// A few of them, with all policies and forms among them, for tests that take long.
inline std::vector<BlockPolicy> some_policies(bool invertible = true) {
  using enum ActivationPolicy;
  std::vector<BlockPolicy> some = {store, {store, TapeForm::narrow}, recompute};
  if (invertible)
    some.insert(some.end(),
                {{tapes, TapeForm::narrow}, {last_tape, TapeForm::lean}, BlockPolicy(invert)});
  else
    some.emplace_back(recompute, TapeForm::lean);
  return some;
}

}  // namespace pal::testing
