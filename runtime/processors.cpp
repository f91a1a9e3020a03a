#include "runtime/processors.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

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

/// "MAX PERIOD" of cpu.max, in microseconds; 0: "max", or no such file.
double quota_v2(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  double quota = 0.0;
  double period = 0.0;
  if (!(file >> quota >> period) || quota <= 0.0 || period <= 0.0) return 0.0;
  return quota / period;
}

double number_in(const std::string& path) {
  std::ifstream file(path);
  double number = 0.0;
  return file >> number ? number : 0.0;
}

/// -1 as quota: none.
double quota_v1(const std::string& folder) {
  const double quota = number_in(folder + "/cpu.cfs_quota_us");
  const double period = number_in(folder + "/cpu.cfs_period_us");
  return quota > 0.0 && period > 0.0 ? quota / period : 0.0;
}

/// The least quota of a group and those above it. In a container the path may be the host's: then
/// its own group is mounted at `mount` itself.
template <typename Quota>
double least_quota(const std::string& mount, std::string group, Quota quota) {
  double least = 0.0;
  const auto take = [&least](double found) {
    if (found > 0.0 && (least == 0.0 || found < least)) least = found;
  };
  for (; !group.empty() && group != "/"; group.erase(group.find_last_of('/')))
    take(quota(mount + group));
  take(quota(mount));
  return least;
}

}  // namespace

double cgroup_processors(const std::string& root) {
  std::ifstream groups(root + "/proc/self/cgroup");
  double least = 0.0;
  // Lines are ID:CONTROLLERS:PATH; v2 has no controllers.
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    const std::string mounts = root + "/sys/fs/cgroup";
    double quota = 0.0;
    std::istringstream names(controllers);
    if (controllers.empty()) quota = least_quota(mounts, group, quota_v2);
    for (std::string name; std::getline(names, name, ',');)
      if (name == "cpu") {
        quota = least_quota(mounts + "/" + controllers, group, quota_v1);
        if (quota == 0.0) quota = least_quota(mounts + "/cpu", group, quota_v1);
      }
    if (quota > 0.0 && (least == 0.0 || quota < least)) least = quota;
  }
  return least;
}

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
