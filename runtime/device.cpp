#include "runtime/device.h"

#include <charconv>

#include "runtime/cuda.h"
#include "runtime/error.h"

namespace pal {
namespace {

thread_local Device current_device;

}  // namespace

std::string Device::str() const {
  return (meta ? "meta " : "") + (is_cpu() ? "cpu" : "cuda:" + std::to_string(index));
}

Device parse_device(const std::string& text) {
  if (text == "cpu") return {};
  if (text == "auto") {
    if (cuda::device_count() == 0) return {};
    cuda::use(0);
    return Device::cuda();
  }
  const bool numbered = text.rfind("cuda:", 0) == 0 && text.size() > 5;
  int index = 0;
  if (numbered) {
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + 5, end, index);
    if (error != std::errc() || stop != end || index < 0)
      fail(ErrorKind::usage, "device: expected auto, cpu or cuda[:N], got '{}'", text);
  } else if (text != "cuda") {
    fail(ErrorKind::usage, "device: expected auto, cpu or cuda[:N], got '{}'", text);
  }
  cuda::use(index);
  return Device::cuda(index);
}

DeviceScope::DeviceScope(Device device) : previous_(current_device) { current_device = device; }
DeviceScope::~DeviceScope() { current_device = previous_; }
Device DeviceScope::current() { return current_device; }

Device device_of_values() { return current_device.meta ? current_device : Device(); }

}  // namespace pal
