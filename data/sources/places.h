#pragma once
#include <string>
#include <vector>

namespace pal {

/// Where a data set is looked for when no folder is given: $PALINDROME_DATA/`name` and
/// $PALINDROME_DATA if that is set, then `standard`.
std::vector<std::string> data_places(const std::string& name,
                                     const std::vector<std::string>& standard);

/// The user's cache folder of this program: $XDG_CACHE_HOME/palindrome or ~/.cache/palindrome;
/// empty without a home.
std::string cache_folder();

}  // namespace pal
