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

}  // namespace pal::testing
