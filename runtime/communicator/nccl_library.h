#pragma once
#include <string>

namespace pal {

/// The version of NVIDIA's NCCL that is used: "2.28.9". It is loaded when it is asked for first, so
/// that a program starts without it: the file that PALINDROME_NCCL_LIBRARY names (or libnccl.so.2
/// in the folder that it names, such as nvidia/nccl/lib of PyTorch's wheels), else libnccl.so.2
/// where the system looks. Throws environment, saying what to do, if the build or the machine has
/// none, or one that is too old.
std::string nccl_version();

/// The function of that name in NCCL. Throws as nccl_version does.
void* nccl_symbol(const char* name);

}  // namespace pal
