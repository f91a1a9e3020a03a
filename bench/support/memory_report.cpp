#include "bench/support/memory_report.h"

#include <fstream>
#include <string>

namespace pal::bench {

nlohmann::ordered_json bytes_by_tag(const MemoryStats& stats) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (int tag = 0; tag < kTagCount; ++tag)
    if (const int64_t bytes = stats.peak[static_cast<size_t>(tag)]; bytes > 0)
      object[name_of(static_cast<Tag>(tag))] = bytes;
  return object;
}

int64_t available_memory() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  int64_t kibibytes = 0;
  std::string unit;
  while (file >> key >> kibibytes) {
    std::getline(file, unit);
    if (key == "MemAvailable:") return kibibytes * 1024;
  }
  return 0;
}

}  // namespace pal::bench
