#pragma once
#include <cstdint>
#include <string>

// What control groups, of containers or batch systems, allow this process: the least along the paths
// of its groups, of cgroup v1 and v2. `root` stands for / where files are read (tests).
namespace pal {

/// The quota in processors (cpu.max, cpu.cfs_quota_us); 0: none.
double cgroup_processors(const std::string& root = "");

/// The limit of memory in bytes (memory.max, memory.limit_in_bytes); 0: none.
int64_t cgroup_memory(const std::string& root = "");

}  // namespace pal
