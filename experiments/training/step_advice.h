#pragma once
#include <string>

#include "layers/training/fault_search.h"

namespace pal {

/// What is known of a run whose steps are no longer finite.
struct StepHistory {
  int64_t step = 0;  ///< the first of them, counted from 1
  int64_t warmup_steps = 0;
  double first_loss = 0.0;  ///< of this process
  double last_loss = 0.0;   ///< of the last step that was taken
  int64_t taken = 0;        ///< steps that were taken in this process
  double mean_norm = 0.0;   ///< gradient norms of the last ones
  double last_norm = 0.0;
  double learning_rate = 0.0;
  bool head_of_flow = false;  ///< the class means learn alone
  double clip_norm = 0.0;     ///< 0: none
  double clamp = 0.0;         ///< 0: no flow
  bool bf16 = false;
};

/// What became of the loss and what to turn, the likeliest first: "the loss went from 2.6 to 14 in
/// 59 steps; try --warmup-steps 200 (now 0), --lr 0.025 (now 0.05), ...".
std::string step_advice(const StepHistory& history, Fault::Place place);

}  // namespace pal
