#pragma once
#include <string>

// What convolutions and matrix products run on here: versions of the libraries, and whether the
// processor computes bf16.
namespace pal {

/// Version of the CPU library: "oneDNN 2.6.3".
std::string cpu_library_version();

/// Versions of the GPU libraries: "cuDNN 9.19.0, cuBLASLt 13.1.0"; empty without them (in a build
/// without the CUDA backend, or in the emulator).
std::string cuda_library_versions();

/// What this library's own loops were compiled for: "x86-64-v3", the highest level whose instructions
/// they may use, of which packages bring several; on other processors "baseline".
std::string instruction_level();

/// Whether those loops use vectors as wide as the CPU library's, which takes what this processor has
/// (or ONEDNN_MAX_CPU_ISA allows): if not, the library's own convolutions are preferred.
bool loops_have_library_width();

/// Whether this processor computes bf16 at all (AVX-512).
bool cpu_has_bf16();
/// Whether this processor computes bf16 natively (AVX-512 BF16).
bool cpu_has_native_bf16();

}  // namespace pal
