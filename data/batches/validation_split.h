#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace pal {

/// Which images of a set without validation part train, and which choose checkpoints.
struct ValidationSplit {
  std::vector<int64_t> train;       ///< ascending indices
  std::vector<int64_t> validation;  ///< ascending indices
};

/// Takes the end of a seeded permutation of `count` images for validation: `amount` of them (from 1
/// on), that fraction (below 1), or for 0 the default: 5,000, or 10 % of fewer than 50,000 images
/// (experiments/measures/README.md, 9). `name` is the set's, for messages. Throws usage if a part
/// would be empty.
ValidationSplit split_validation(const std::string& name, int64_t count, double amount,
                                 uint64_t seed);

}  // namespace pal
