#pragma once
#include <cstdint>
#include <string>

namespace pal {

/// Bytes as people read them: "1.50 GiB", "12.0 MiB", "1.5 KiB", "768 B".
std::string format_bytes(int64_t bytes);

/// Bytes, more than 0, from a text such as 512MiB, 2GB or 1073741824. Throws usage for any other
/// text; the message begins with `what`, the name of the setting.
int64_t parse_bytes(const std::string& text, const std::string& what);

}  // namespace pal
