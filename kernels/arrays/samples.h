#pragma once
#include <vector>

#include "kernels/common/backend.h"

// Loops over the samples of a batch [n, d] that have numbers of their own: steps of different
// length for each image. All of [n, d] are dense, in one dtype of f32 or f64; numbers are f64 [n].
// Throws usage when shapes do not fit.
namespace pal {

/// One summand: values [n, d] times the factor of each sample.
struct SampleTerm {
  Tensor values;
  Tensor factors;     ///< f64 [n], rounded to the dtype of the values
  bool sign = false;  ///< the signs of the values (-1, 0 or 1) take their place
};
/// The most summands of combine_samples.
inline constexpr size_t kMostTerms = 4;

/// Overwrites y [n, d], which may be the values of a term, with the sum of one to kMostTerms terms,
/// added in their order.
PAL_KERNEL(void combine_samples(const std::vector<SampleTerm>& terms, const Tensor& y))

/// Clamps y into [low, high], and into centre +- radius of each sample where these are defined
/// (centre [n, d], radius f64 [n]). NaN stays NaN.
PAL_KERNEL(void clamp_samples(const Tensor& y, double low, double high, const Tensor& centre,
                              const Tensor& radius))

/// Overwrites distances, f64 [n, 2], with the sum of squares and the largest absolute value of
/// a - b for each sample (b undefined: of a), in double; the same bits for any number of threads. A
/// sample with a NaN has NaN for both.
PAL_KERNEL(void sample_distances(const Tensor& a, const Tensor& b, const Tensor& distances))

}  // namespace pal
