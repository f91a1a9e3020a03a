#include "experiments/report/metrics_history.h"

#include "runtime/file.h"
#include "runtime/json.h"

namespace pal {

MetricsHistory metrics_history(const std::string& path, int64_t batch) {
  MetricsHistory history;
  for (const std::string& line : read_lines(path)) {
    const auto row = parse_json(line);
    if (!row.is_object()) continue;
    if (const auto t = row.find("t"); t != row.end() && t->is_number())
      history.seconds = t->get<double>();
    const auto rate = row.find("images_per_s");
    if (rate == row.end() || !rate->is_number() || rate->get<double>() <= 0.0) continue;
    ++history.steps;
    history.step_seconds += static_cast<double>(batch) / rate->get<double>();
  }
  return history;
}

}  // namespace pal
