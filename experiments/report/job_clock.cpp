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
  return fmt::format("{}: {} of {} {}, {:.0f}/s, ETA {}", what, grouped(done), grouped(count), unit,
                     rate, done == 0 ? "-" : format_duration(left));
}

}  // namespace pal
