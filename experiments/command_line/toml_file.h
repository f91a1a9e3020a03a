#pragma once
#include <toml++/toml.h>

#include <string>

namespace pal {

/// The table that a TOML file of at most 1 MiB holds. Throws usage, with `option` ("--suite: ") and
/// the line before it, if it is none, or holds what the library does not bear and no option needs:
/// texts of several lines, control characters, characters beyond ASCII outside of texts and comments,
/// names of more than 256 parts.
toml::table read_toml(const std::string& path, const std::string& option = "");

}  // namespace pal
