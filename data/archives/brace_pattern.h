#pragma once
#include <string>
#include <vector>

namespace pal {

/// All texts that a pattern stands for, as in a shell: "a-{000..146}.tar" (with as many zeros as
/// the longer end has digits if either begins with 0), "{train,val}.tar", several groups, the last
/// one running fastest. A pattern without braces stands for itself. Throws usage for braces that do
/// not pair or are nested, groups that are neither a range nor a list, and more than 1,000,000
/// results.
std::vector<std::string> expand_braces(const std::string& pattern);

/// Paths of tar shards: of a folder its files *.tar in byte order, hidden ones left out; else those
/// of the pattern. Throws usage if a folder has none, data if it may not be read.
std::vector<std::string> find_shards(const std::string& folder_or_pattern);

}  // namespace pal
