#pragma once
#include <string>
#include <vector>

#include "experiments/planning/rank_plan.h"

namespace pal {

/// The predicted steps of one network for several numbers of ranks, for people and as JSON.
class RankPlans {
 public:
  /// Each rank takes `batch` images in the step that `work` is. Throws usage as plan_step.
  RankPlans(std::string arch, RankWork work, int64_t batch, const ReductionSpec& reduction,
            const Link& link, const std::vector<int64_t>& ranks);

  /// The shares of the step, what each number of ranks gains, and the way of each sum; without a
  /// newline at the end.
  std::string text() const;
  /// An object with all of that, times in seconds.
  std::string json() const;

 private:
  std::string gain_table() const;
  std::string schedule_table() const;
  double images_per_s(const RankStep& step) const;

  std::string arch_;
  RankWork work_;
  int64_t batch_;
  ReductionSpec reduction_;
  Link link_;
  std::vector<RankStep> steps_;
};

}  // namespace pal
