#pragma once
#include <cstdint>
#include <string>

namespace pal {

/// Bytes as people read them: "1.50 GiB", "12.0 MiB", "1.5 KiB", "768 B".
std::string format_bytes(int64_t bytes);

/// Bytes, more than 0, from a text such as 512MiB, 2GB or 1073741824: K, M, G and T are powers of
/// 1024, with or without iB; kB, MB, GB and TB powers of 1000; case does not matter. Throws usage
/// "expected bytes ..." for any other text.
int64_t parse_bytes(const std::string& text);

}  // namespace pal
