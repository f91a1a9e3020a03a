#pragma once
#include <cstdint>
#include <string>

namespace pal {

/// Kinds of devices.
enum class DeviceType : uint8_t { cpu, cuda };

/// Where a tensor lives. Kernels pick their backend from the device of their arguments.
struct Device {
  DeviceType type = DeviceType::cpu;
  int index = 0;  ///< which GPU; 0 for the CPU
  /// Tensors there have a shape but no memory, and kernels do nothing: what a program would
  /// allocate on the device is counted without running it (as on PyTorch's device of that name).
  bool meta = false;

  static Device cuda(int index = 0) { return {DeviceType::cuda, index}; }
  /// The meta device that stands for this one.
  Device as_meta() const { return {type, index, true}; }
  bool is_cpu() const { return type == DeviceType::cpu; }
  bool is_cuda() const { return type == DeviceType::cuda; }
  bool operator==(const Device&) const = default;
  /// "cpu" or "cuda:0", with "meta " before it on a meta device.
  std::string str() const;
};

/// Parses `auto` (the first GPU if this build and machine have one, else the CPU), `cpu`, `cuda` or
/// `cuda:N` and makes the device ready. Throws usage for another word and environment, saying what
/// is missing, for a device that this build or machine does not have.
Device parse_device(const std::string& text);

/// Tensors made without an explicit device live on the innermost scope's device on this thread
/// (default: the CPU).
class DeviceScope {
 public:
  explicit DeviceScope(Device device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;
  /// The device of the innermost scope on this thread.
  static Device current();

 private:
  Device previous_;
};

/// Where values are made before they move to their device: the CPU, but in a meta device's scope
/// that device, which has no values.
Device device_of_values();

}  // namespace pal
