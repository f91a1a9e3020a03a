#include "experiments/report/job_clock.h"

#include <fmt/format.h>

#include <algorithm>

#include "experiments/report/run_log.h"
#include "experiments/report/text_table.h"

namespace pal {

double JobClock::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

std::string JobClock::text(const std::string& what, int64_t done, int64_t count,
                           const char* unit) const {
  const double rate = static_cast<double>(done) / std::max(seconds(), 1e-3);
  const double left = rate > 0.0 ? static_cast<double>(count - done) / rate : 0.0;
  const std::string pace = done > 0 && rate < 1.0 ? fmt::format("{:.1f} s each", 1.0 / rate)
                                                  : fmt::format("{:.0f}/s", rate);
  return fmt::format("{}: {} of {} {}, {}, ETA {}", what, grouped(done), grouped(count), unit, pace,
                     done == 0 ? "-" : format_duration(left));
}

}  // namespace pal
