#include "data/corruptions/corrupted_set.h"

#include <fmt/format.h>

#include "data/variants/changed_set.h"

namespace pal {

std::unique_ptr<Dataset> corrupted_set(const Dataset& base, Corruption corruption, int severity,
                                       const CorruptionOptions& options) {
  const DatasetInfo& info = base.info();
  check_corruption(info.height, info.width, info.channels, corruption, severity);
  return changed_set(
      base, fmt::format("{} {}", name_of(corruption), severity),
      [&base, corruption, severity, options](const Image& image, int64_t index, uint64_t) {
        return corrupted(image, corruption, severity, options,
                         path_in_set(base.info().name, base.item_name(index)));
      });
}

}  // namespace pal
