#pragma once
#include <cstdint>
#include <string>

namespace pal {

/// How much more memory this process may come to use.
struct FreeMemory {
  int64_t bytes = 0;       ///< 0: not known
  std::string limited_by;  ///< what sets the limit, for messages: "this machine's memory"
};

/// The least of what the machine has, what control groups allow, and what the limit of the address
/// space does (ulimit -v), without what the process uses already. Other processes' use does not count.
FreeMemory free_memory();

}  // namespace pal
