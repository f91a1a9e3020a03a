#pragma once
#include <string>
#include <vector>

namespace pal {

/// "what: implementation" of every library primitive planned so far in this process, in order of
/// first use. A test fails if any of them is one of the library's reference implementations.
std::vector<std::string> planned_implementations();

/// Version of the CPU library: "oneDNN 2.6.3".
std::string cpu_library_version();

/// True if this processor computes bf16 at all (AVX-512), and natively (AVX-512 BF16).
bool cpu_has_bf16();
bool cpu_has_native_bf16();

}  // namespace pal
