#pragma once
#include "kernels/common/backend.h"

// Checkerboard reordering (layers/models/README.md, 3), [n, h, w, c] <-> [n, h/2, w/2, 4c], h and w
// even: channel 4 c + 2 dy + dx at (i, j) is channel c at (2i + dy, 2j + dx). A permutation, so its
// inverse is also its backward. f32, f64 or bf16; arguments may be channel slices but must not
// overlap. Throws usage when shapes do not fit.
namespace pal {

/// Overwrites y [n, h/2, w/2, 4c] with the reordered x [n, h, w, c].
PAL_KERNEL(void squeeze(const Tensor& x, const Tensor& y))

/// Overwrites x [n, h, w, c] with the image whose reordering is y [n, h/2, w/2, 4c].
PAL_KERNEL(void unsqueeze(const Tensor& y, const Tensor& x))

}  // namespace pal
