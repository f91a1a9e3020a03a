#include "runtime/free_memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "runtime/control_group.h"

namespace pal {
namespace {

/// Bytes of this process: of its address space, and of what lies in memory.
struct Used {
  int64_t address_space = 0;
  int64_t resident = 0;
};

Used used_bytes() {
  std::ifstream file("/proc/self/statm");
  Used pages;
  if (!(file >> pages.address_space >> pages.resident)) return {};
  const int64_t page = ::sysconf(_SC_PAGESIZE);
  return {pages.address_space * page, pages.resident * page};
}

}  // namespace

FreeMemory free_memory() {
  FreeMemory least;
  const auto take = [&least](int64_t limit, int64_t used, const char* what) {
    const int64_t left = std::max<int64_t>(1, limit - used);
    if (limit > 0 && (least.bytes == 0 || left < least.bytes)) least = {left, what};
  };
  const Used used = used_bytes();
  take(::sysconf(_SC_PHYS_PAGES) * ::sysconf(_SC_PAGESIZE), used.resident, "this machine's memory");
  take(cgroup_memory(), used.resident, "the memory of this control group");
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    take(static_cast<int64_t>(std::min<rlim_t>(limit.rlim_cur, INT64_MAX)), used.address_space,
         "the limit of the address space (ulimit -v)");
  return least;
}

}  // namespace pal
