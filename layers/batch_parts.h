#pragma once
#include <cstdint>
#include <functional>

#include "runtime/tensor.h"

namespace pal {

/// Calls visit(part) for the samples of x, [n, h, w, c] or [n, d], in order, at most `most` at a
/// time (0: all at once) and as evenly as it goes, so that no part is much smaller than the others.
/// The parts are views. Throws usage if `most` is negative.
void visit_parts(const Tensor& x, int64_t most,
                 const std::function<void(const Tensor& part)>& visit);

/// The results of map(part) for the same parts as one tensor, so that what `map` needs besides is
/// held for a part alone. Of a single part, the tensor that `map` returned.
Tensor map_parts(const Tensor& x, int64_t most,
                 const std::function<Tensor(const Tensor& part)>& map);

}  // namespace pal
