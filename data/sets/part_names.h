#pragma once
#include <optional>
#include <string>
#include <vector>

#include "data/sources/image_set.h"

namespace pal {

/// The part of a set that a folder of this name holds, without regard to case: train or training;
/// val, validation, valid or dev; test or testing.
std::optional<Split> part_of_folder(const std::string& name);

/// The part that a tar shard of this name belongs to: by the word of those that it begins with, the
/// longest that fits; "dev" only where no letter follows.
std::optional<Split> part_of_shard(const std::string& name);
/// The word that a shard's name begins with, in lower case; empty if it is none.
std::string part_word(const std::string& shard);

/// "a/", "a/ and b/", "a/, b/ and c/": folders for a message.
std::string folder_list(const std::vector<std::string>& names);

}  // namespace pal
