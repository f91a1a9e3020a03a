#pragma once
#include "kernels/common/check.h"

namespace pal {

/// Checks a pair of an image [n, h, w, c], h and w even, and one [n, h/2, w/2, 4c] whose pixels are
/// its 2x2 patches. `name` is that of the second.
inline void check_patches(const char* op, const char* name, const Tensor& fine,
                          const Tensor& coarse) {
  expect_rank(op, "image", fine, 4);
  const Shape& s = fine.shape();
  if (s[1] % 2 != 0 || s[2] % 2 != 0)
    fail(ErrorKind::usage, "{}: expected an even height and width, got {}", op, s.str());
  expect_tensor(op, name, coarse, {s[0], s[1] / 2, s[2] / 2, 4 * s[3]}, fine.dtype());
}

}  // namespace pal
