#pragma once
#include <cstddef>
#include <functional>

namespace pal {

/// Calls body(i) for all i below `count` by up to eight threads, whatever the number of processors,
/// for work that waits for a disk or a network. With fewer threads allowed it takes longer.
/// Rethrows the error of the first i that failed.
void parallel_io(size_t count, const std::function<void(size_t)>& body);

}  // namespace pal
