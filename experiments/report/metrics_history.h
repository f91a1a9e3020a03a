#pragma once
#include <cstdint>
#include <string>

namespace pal {

/// What a metrics.jsonl says that a run has taken so far.
struct MetricsHistory {
  double seconds = 0.0;       ///< the last row's t
  double step_seconds = 0.0;  ///< in steps alone
  int64_t steps = 0;
};

/// Sums up a metrics.jsonl of steps of `batch` images; all zero if there is no such file. Lines
/// that are no rows are passed over.
MetricsHistory metrics_history(const std::string& path, int64_t batch);

}  // namespace pal
