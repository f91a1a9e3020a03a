#include "bench/support/resident_memory.h"

#include <malloc.h>

#include <fstream>
#include <sstream>
#include <string>

namespace pal::bench {

ResidentMemory resident_memory() {
  std::ifstream status("/proc/self/status");
  ResidentMemory memory;
  for (std::string line; std::getline(status, line);) {
    std::istringstream words(line);
    std::string key;
    int64_t kib = 0;
    words >> key >> kib;
    if (key == "VmRSS:") memory.current = kib << 10;
    if (key == "VmHWM:") memory.peak = kib << 10;
  }
  return memory;
}

bool reset_peak_resident_memory() {
  malloc_trim(0);
  std::ofstream clear("/proc/self/clear_refs");
  // 5: VmHWM (proc(5)).
  clear << "5" << std::flush;
  return clear.good();
}

}  // namespace pal::bench
