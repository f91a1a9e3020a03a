#pragma once
#include "kernels/arrays/samples.h"
#include "kernels/common/check.h"

// What the kernels on samples of both backends ask of their arguments.
namespace pal {

inline void check_sample_values(const char* op, const char* name, const Tensor& values,
                                const Tensor& like) {
  expect_tensor(op, name, values, like.shape(), like.dtype());
  expect_dense(op, name, values);
}

inline void check_combine_samples(const std::vector<SampleTerm>& terms, const Tensor& y) {
  const char* op = "combine_samples";
  expect_rank(op, "y", y, 2);
  expect_dense(op, "y", y);
  expect(!terms.empty() && terms.size() <= kMostTerms, "{}: expected 1 to {} terms, got {}", op,
         kMostTerms, terms.size());
  for (const SampleTerm& term : terms) {
    check_sample_values(op, "values", term.values, y);
    expect_tensor(op, "factors", term.factors, {y.size(0)}, DType::f64);
  }
}

inline void check_clamp_samples(const Tensor& y, double low, double high, const Tensor& centre,
                                const Tensor& radius) {
  const char* op = "clamp_samples";
  expect_rank(op, "y", y, 2);
  expect_dense(op, "y", y);
  expect(low <= high, "{}: expected low up to high, got {} and {}", op, low, high);
  expect(centre.defined() == radius.defined(), "{}: expected a centre with its radius", op);
  if (!centre.defined()) return;
  check_sample_values(op, "centre", centre, y);
  expect_tensor(op, "radius", radius, {y.size(0)}, DType::f64);
}

inline void check_sample_distances(const Tensor& a, const Tensor& b, const Tensor& distances) {
  const char* op = "sample_distances";
  expect_rank(op, "a", a, 2);
  expect_dense(op, "a", a);
  if (b.defined()) check_sample_values(op, "b", b, a);
  expect_tensor(op, "distances", distances, {a.size(0), 2}, DType::f64);
  expect_dense(op, "distances", distances);
}

}  // namespace pal
