#pragma once
#include <vector>

#include "experiments/comparison/beta_groups.h"
#include "experiments/comparison/ordering_tests.h"

namespace pal {

/// Size, detection and confidence of attacks over beta (the paper's Tables 7 to 9), of each protocol
/// that was measured; where none was, one ordering that says so. Errors are those over images where
/// a beta has one attacked run. Throws data for a broken file of attacks.
std::vector<Ordering> attack_orderings(const Sweep& sweep);

/// Whether attacks first cross the boundary and then come nearer to the image (Figs. 6 and 19): for
/// 80 % of the images whose paths were kept, of every network that names classes.
Ordering path_ordering(const Sweep& sweep);

}  // namespace pal
