#pragma once
#include <memory>

#include "data/corruptions/corruption.h"
#include "data/sets/dataset.h"

namespace pal {

/// The images of a set, each corrupted as a network would see it (its levels after crop and
/// resize), at the same place and with the same label. The path that draws depend on is
/// `path_in_set` of
/// `base.item_name(index)`, the seed that of `options`: neither the order nor the choice of images,
/// batch sizes or threads change a picture. `base` must outlive the set. Throws usage as
/// `corrupted` for the severity, the size and the channels; its batches throw usage under noise,
/// augmentation or several views, as scores go without.
std::unique_ptr<Dataset> corrupted_set(const Dataset& base, Corruption corruption, int severity,
                                       const CorruptionOptions& options);

}  // namespace pal
