#pragma once
#include <cstdint>
#include <string>

namespace pal {

/// "1.50 GiB", "12.0 MiB", "1.5 KiB", "768 B".
std::string format_bytes(int64_t bytes);

/// Bytes from a text such as 512MiB, 2GB or 1073741824, more than 0. Throws usage naming `flag`.
int64_t parse_bytes(const std::string& text, const std::string& flag);

}  // namespace pal
