#pragma once
#include <toml++/toml.h>

#include <string>

namespace pal {

/// The table that a TOML file of at most 1 MiB holds. Throws usage, with `option` ("--suite: ") and
/// the line before it, if it is none, or a name in it has more parts than anyone writes.
toml::table read_toml(const std::string& path, const std::string& option = "");

}  // namespace pal
