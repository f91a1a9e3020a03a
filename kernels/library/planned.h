#pragma once
#include <string>
#include <vector>

// Which implementations the libraries gave to our convolutions and matrix products.
namespace pal {

/// "what: implementation" of every library primitive planned so far in this process, in order of
/// first use. A test fails if any of them is one of the library's reference implementations.
std::vector<std::string> planned_implementations();

/// Notes the implementation that a newly planned primitive got, and logs it.
void note_implementation(const std::string& what, const std::string& implementation);

}  // namespace pal
