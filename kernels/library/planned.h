#pragma once
#include <string>
#include <vector>

namespace pal {

/// "what: implementation" of every library primitive planned so far in this process, in order of
/// first use. A test fails if any of them is one of the library's reference implementations.
std::vector<std::string> planned_implementations();

/// Notes the implementation that a newly planned primitive got, and logs it.
void note_implementation(const std::string& what, const std::string& implementation);

/// Version of the CPU library: "oneDNN 2.6.3".
std::string cpu_library_version();

/// Versions of the GPU libraries: "cuDNN 9.19.0, cuBLASLt 13.1.0"; empty without them (in a build
/// without the CUDA backend, or in the emulator).
std::string cuda_library_versions();

/// True if this processor computes bf16 at all (AVX-512), and natively (AVX-512 BF16).
bool cpu_has_bf16();
bool cpu_has_native_bf16();

}  // namespace pal
