#pragma once
#include "kernels/common/backend.h"
#include "kernels/library/weight_shadow.h"

namespace pal {

/// A parameter (f32 or f64) as the backend's library reads it beside activations of `dtype`: itself
/// or, on a GPU, an up-to-date copy in bf16 or at an aligned address, which the shadow keeps.
PAL_KERNEL(Tensor library_copy(const Tensor& parameter, WeightShadow& shadow, DType dtype))

}  // namespace pal
