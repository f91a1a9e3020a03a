#pragma once
#include "kernels/common/backend.h"

// Windows of max pooling along one axis.
namespace pal::pool_math {

/// The taps of a window that lie inside [0, size): those with begin <= tap < end; tap 0 is at
/// coordinate `start`.
template <typename Int>
struct TapRange {
  PAL_HD TapRange(Int window, Int size, Int kernel, Int stride, Int padding)
      : start(window * stride - padding),
        begin(start < 0 ? -start : 0),
        end(size - start < kernel ? size - start : kernel) {}
  Int start;
  Int begin;
  Int end;
};

/// The windows first <= window <= last that contain coordinate `at`, maybe none;
/// `by_stride(number)` divides a number that is not negative.
template <typename Int>
struct WindowRange {
  template <typename ByStride>
  PAL_HD WindowRange(Int at, Int windows, Int kernel, Int stride, Int padding,
                     const ByStride& by_stride)
      : last(by_stride(at + padding)) {
    const Int before = at + padding - kernel;
    first = before < 0 ? 0 : by_stride(before + stride);
    if (last > windows - 1) last = windows - 1;
  }
  Int first;
  Int last;
};

/// Whether a value takes the place of the largest one before it: NaN wins. No short circuit, so
/// that compilers see no branch.
template <typename Real>
PAL_HD bool wins(Real value, Real best) {
  return (value > best) | (value != value);
}

}  // namespace pal::pool_math
