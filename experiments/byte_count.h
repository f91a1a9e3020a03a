#pragma once
#include <cstdint>
#include <string>

namespace pal {

/// Bytes from a text such as 512MiB, 2GB or 1073741824, more than 0. Throws usage naming `flag`.
int64_t parse_bytes(const std::string& text, const std::string& flag);

}  // namespace pal
