#include "experiments/datasets/source_split.h"

#include <algorithm>

#include "data/batches/order.h"
#include "runtime/error.h"

namespace pal {

SourceSplit split_sources(std::vector<std::string> names, uint64_t seed, const std::string& what) {
  if (names.size() < 2)
    fail(ErrorKind::data,
         "{}: {} sources, expected at least 2: one for training, one for validation", what,
         names.size());
  std::ranges::sort(names);
  const size_t kept = names.size() - (names.size() + 4) / 5;
  SourceSplit split;
  size_t place = 0;
  for (const int64_t at : split_order(static_cast<int64_t>(names.size()), seed))
    (place++ < kept ? split.train : split.val).push_back(names[static_cast<size_t>(at)]);
  std::ranges::sort(split.train);
  std::ranges::sort(split.val);
  return split;
}

}  // namespace pal
