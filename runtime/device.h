#pragma once
#include <cstdint>
#include <string>

namespace pal {

enum class DeviceType : uint8_t { cpu, cuda };

/// Where a tensor lives. Kernels pick their backend from the device of their arguments.
struct Device {
  DeviceType type = DeviceType::cpu;
  int index = 0;

  bool is_cpu() const { return type == DeviceType::cpu; }
  bool operator==(const Device&) const = default;
};

/// Parses `auto`, `cpu`, `cuda` or `cuda:N`. Throws usage for another word and environment for a
/// device that this build or machine does not have.
Device parse_device(const std::string& text);

}  // namespace pal
