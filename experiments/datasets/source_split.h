#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace pal {

/// Names of the sources that pictures for training and for validation are made of.
struct SourceSplit {
  std::vector<std::string> train;  ///< ascending
  std::vector<std::string> val;    ///< ascending
};

/// Gives a fifth of the sources, rounded up, to validation: those at the end of a seeded
/// permutation of the sorted names. Throws data, with `what`, for fewer than two.
SourceSplit split_sources(std::vector<std::string> names, uint64_t seed, const std::string& what);

}  // namespace pal
