#pragma once
#include <string>

namespace pal {

/// Throws data for a name that is neither a set, a folder nor a pattern of shards: suggests the
/// nearest known set or folder beside it, and says how to bring sets that many look for (cifar10,
/// imagenet, mnist, ...).
[[noreturn]] void refuse_unknown_set(const std::string& place);

}  // namespace pal
