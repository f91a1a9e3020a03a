#pragma once
#include <cstdint>
#include <vector>

#include "experiments/measures/sampling.h"
#include "experiments/sampling/sheet_parts.h"

namespace pal {

/// The two classes of a morph. Throws usage for one that does not exist, and for one class twice.
std::vector<int64_t> morphed_classes(const SampleOptions& options, const LoadedModel& loaded);

/// Test images of one class moved to another (--morph), and what the model takes each picture for;
/// `spreads` are of the two classes. Throws as make_sample_sheet.
SampleSheet morph_sheet(const SampleOptions& options, const LoadedModel& loaded, IbInn& flow,
                        const std::vector<ClassSpread>& spreads);

}  // namespace pal
