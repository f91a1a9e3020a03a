#include "runtime/byte_count.h"

#include <charconv>
#include <utility>
#include <vector>

#include "runtime/error.h"

namespace pal {

std::string format_bytes(int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes >= int64_t{1} << 30) return fmt::format("{:.2f} GiB", value / (1 << 30));
  if (bytes >= int64_t{1} << 20) return fmt::format("{:.1f} MiB", value / (1 << 20));
  if (bytes >= int64_t{1} << 10) return fmt::format("{:.1f} KiB", value / (1 << 10));
  return fmt::format("{} B", bytes);
}

int64_t parse_bytes(const std::string& text, const std::string& what) {
  static const std::vector<std::pair<std::string, double>> units = {
      {"", 1.0},   {"B", 1.0},      {"kB", 1e3},        {"MB", 1e6},
      {"GB", 1e9}, {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}};
  double number = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(end, text.data() + text.size());
  for (const auto& [name, factor] : units)
    if (error == std::errc() && unit == name && number > 0.0 && number * factor < 9e18)
      return static_cast<int64_t>(number * factor);
  fail(ErrorKind::usage, "{}: expected bytes such as 512MiB, 2GB or 1073741824, got '{}'", what,
       text);
}

}  // namespace pal
