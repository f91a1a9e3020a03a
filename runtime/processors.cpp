#include "runtime/processors.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <thread>

#include "runtime/control_group.h"
#include "runtime/text.h"

namespace pal {
namespace {

/// The affinity mask; empty if it is not known.
cpu_set_t affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) CPU_ZERO(&set);
  return set;
}

int affinity_processors() {
  const cpu_set_t set = affinity();
  if (CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

double used_processor_seconds(const std::string& root) {
  const cpu_set_t set = affinity();
  std::ifstream file(root + "/proc/stat");
  double ticks = -1.0;
  // Lines are cpuN USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ STEAL ...; the first is of all.
  for (std::string line; std::getline(file, line) && line.starts_with("cpu");) {
    std::istringstream words(line.substr(3));
    int processor = 0;
    double user = 0.0, nice = 0.0, system = 0.0, idle = 0.0, iowait = 0.0;
    double irq = 0.0, softirq = 0.0, steal = 0.0;
    if (line[3] == ' ' || !(words >> processor) || processor < 0 || processor >= CPU_SETSIZE ||
        !CPU_ISSET(processor, &set))
      continue;
    if (words >> user >> nice >> system >> idle >> iowait >> irq >> softirq >> steal)
      ticks = std::max(ticks, 0.0) + user + nice + system + irq + softirq + steal;
  }
  return ticks < 0.0 ? ticks : ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

int usable_processors(const std::string& root) {
  const int processors = affinity_processors();
  const double quota = cgroup_processors(root);
  if (quota == 0.0) return processors;
  return std::max(1, std::min(processors, static_cast<int>(std::floor(quota + 1e-9))));
}

std::string processor_name(const std::string& root) {
  std::ifstream file(root + "/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (line.starts_with("model name") && colon != std::string::npos)
      return std::string(trimmed(std::string_view(line).substr(colon + 1)));
  }
  return {};
}

}  // namespace pal
