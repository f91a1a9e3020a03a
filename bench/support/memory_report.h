#pragma once
#include <nlohmann/json.hpp>

#include "runtime/allocator.h"

namespace pal::bench {

/// Peak bytes of every tag that was used, by name.
nlohmann::ordered_json bytes_by_tag(const MemoryStats& stats);

/// Memory that the system could give this process now without swapping, in bytes; 0 if unknown.
int64_t available_memory();

}  // namespace pal::bench
