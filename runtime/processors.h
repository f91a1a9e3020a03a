#pragma once
#include <string>

namespace pal {

/// Processors that this process may use: those of its affinity mask, and no more than the quota of
/// its control groups (cgroup v2 cpu.max, v1 cpu.cfs_quota_us), whole ones and at least 1. `root`
/// stands for / where files are read (tests).
int usable_processors(const std::string& root = "");

/// Seconds for which processors of this process's affinity mask were used since the machine started,
/// by whomever, in steps of about 0.01; below 0: not known.
double used_processor_seconds(const std::string& root = "");

/// What the first processor is called, such as "AMD EPYC 9R14"; empty: not known.
std::string processor_name(const std::string& root = "");

}  // namespace pal
