// make_events FOLDER FIRST LAST: a run's part of a folder of events, from step FIRST to LAST. The
// loss of a step is the step and FIRST thousandths, so that it tells which part a point is of.
#include <cstdlib>

#include "experiments/report/event_file.h"

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const long long first = std::atoll(argv[2]);
  const long long last = std::atoll(argv[3]);
  pal::EventFile file(argv[1], first);
  for (long long step = first; step <= last; ++step) {
    pal::MetricsRow row("train");
    row.set("t", 0.5).set_count("step", step);
    row.set("loss", static_cast<double>(step) + 1e-3 * static_cast<double>(first));
    row.set_json("memory", R"({"peak":1024})");
    file.append(row);
  }
  pal::MetricsRow row("val");
  row.set_count("step", last).set("acc1", 0.5);
  file.append(row);
}
