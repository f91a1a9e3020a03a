#pragma once
#include <cstdint>

namespace pal::bench {

/// The process's memory as the system counts it, in bytes; 0 where unknown.
struct ResidentMemory {
  int64_t current = 0;
  int64_t peak = 0;
};
ResidentMemory resident_memory();

/// Gives free heap memory back to the system and sets the peak to the current value. False if the
/// system does not allow the latter: the peak is then that of the process's life.
bool reset_peak_resident_memory();

}  // namespace pal::bench
