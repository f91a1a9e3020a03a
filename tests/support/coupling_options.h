#pragma once
#include <vector>

namespace pal::testing {

/// What a coupling may come with.
struct CouplingOptions {
  bool act_norm = false;      ///< scale and offset behind it
  bool permuted = false;      ///< channels in another order behind it
  bool active_first = false;  ///< the active half before the passive one
  bool gin = false;           ///< log s without its mean
};

/// All combinations; act_norm changes fastest, gin slowest.
inline std::vector<CouplingOptions> all_coupling_options() {
  std::vector<CouplingOptions> all;
  for (const bool gin : {false, true})
    for (const bool active_first : {false, true})
      for (const bool permuted : {false, true})
        for (const bool act_norm : {false, true})
          all.push_back({.act_norm = act_norm,
                         .permuted = permuted,
                         .active_first = active_first,
                         .gin = gin});
  return all;
}

}  // namespace pal::testing
