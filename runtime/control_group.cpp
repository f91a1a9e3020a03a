#include "runtime/control_group.h"

#include <fstream>
#include <functional>
#include <sstream>

namespace pal {
namespace {

/// A limit that a group's folder states; 0: none.
using Limit = std::function<double(const std::string& folder)>;

double number_in(const std::string& path) {
  std::ifstream file(path);
  double number = 0.0;
  return file >> number ? number : 0.0;
}

/// "MAX PERIOD" of cpu.max, in microseconds; "max": none.
double processors_v2(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  double quota = 0.0;
  double period = 0.0;
  if (!(file >> quota >> period) || quota <= 0.0 || period <= 0.0) return 0.0;
  return quota / period;
}

/// -1 as quota: none.
double processors_v1(const std::string& folder) {
  const double quota = number_in(folder + "/cpu.cfs_quota_us");
  const double period = number_in(folder + "/cpu.cfs_period_us");
  return quota > 0.0 && period > 0.0 ? quota / period : 0.0;
}

/// "max": none.
double memory_v2(const std::string& folder) { return number_in(folder + "/memory.max"); }

/// Without a limit there is the highest number of pages.
double memory_v1(const std::string& folder) {
  constexpr double kNone = 0x1p60;
  const double bytes = number_in(folder + "/memory.limit_in_bytes");
  return bytes < kNone ? bytes : 0.0;
}

/// The lesser of two limits.
double lesser(double one, double other) {
  return other > 0.0 && (one == 0.0 || other < one) ? other : one;
}

/// The least limit of a group and those above it. In a container the path may be the host's: then its
/// own group is mounted at `mount` itself.
double least_above(const std::string& mount, std::string group, const Limit& limit) {
  double least = 0.0;
  for (; !group.empty() && group != "/"; group.erase(group.find_last_of('/')))
    least = lesser(least, limit(mount + group));
  return lesser(least, limit(mount));
}

/// The least limit of all groups of this process; `controller` names the one of v1.
double least_limit(const std::string& root, const std::string& controller, const Limit& v1,
                   const Limit& v2) {
  std::ifstream groups(root + "/proc/self/cgroup");
  const std::string mounts = root + "/sys/fs/cgroup";
  double least = 0.0;
  // Lines are ID:CONTROLLERS:PATH; v2 has no controllers.
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) least = lesser(least, least_above(mounts, group, v2));
    std::istringstream names(controllers);
    for (std::string name; std::getline(names, name, ',');) {
      if (name != controller) continue;
      double found = least_above(mounts + "/" + controllers, group, v1);
      if (found == 0.0) found = least_above(mounts + "/" + controller, group, v1);
      least = lesser(least, found);
    }
  }
  return least;
}

}  // namespace

double cgroup_processors(const std::string& root) {
  return least_limit(root, "cpu", processors_v1, processors_v2);
}

int64_t cgroup_memory(const std::string& root) {
  return static_cast<int64_t>(least_limit(root, "memory", memory_v1, memory_v2));
}

}  // namespace pal
