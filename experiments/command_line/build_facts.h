#pragma once
#include <string>

namespace pal {

/// What a report of a fault should say of a build: the compiler, for which processors the loops that
/// are loaded were compiled, whether the build is hardened (PALINDROME_HARDENED), and the libraries
/// with their versions: of what is loaded where a library tells it, else of its headers. Two lines,
/// each with its end; a third one in a build with the CUDA backend.
std::string build_facts();

}  // namespace pal
