#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/sources/index_cache.h"
#include "data/sources/picture_source.h"

namespace pal {

/// Opens tar archives of labelled pictures (tar_samples.h) as one set, in the order of `paths`.
/// `name` is what the set is called. Labels are numbers: without `class_names` the classes are "0"
/// up to the largest label, else a label beyond them is an error. The index is kept in `cache` and
/// taken from there as long as no shard changed; an empty `cache` keeps nothing. Reading opens the
/// shard anew: no descriptor stays open, and a shard that changed in size is an error. Logs counts
/// and what is bent. Throws usage for no paths, the same one twice, no picture or fewer than two
/// classes; data (SHARD:OFFSET or SHARD:MEMBER) for broken shards; environment for other failures.
std::unique_ptr<PictureSource> tar_shards(const std::vector<std::string>& paths,
                                          const std::string& name,
                                          std::vector<std::string> class_names = {},
                                          const std::string& cache = index_cache_folder());

}  // namespace pal
