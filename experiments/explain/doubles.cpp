#include "experiments/explain/doubles.h"

#include <algorithm>
#include <numeric>

namespace pal {
namespace {

/// Values in a register of the widest machines.
constexpr int64_t kLanes = 8;

/// So many values, added and multiplied at once (a vector of GCC and Clang), wherever they lie.
using Lanes
    __attribute__((vector_size(kLanes * sizeof(double)), aligned(sizeof(double)), may_alias)) =
        double;

/// Values of each row that are multiplied before the next ones, so that many rows stay in a cache.
constexpr int64_t kChunk = 48 * kLanes;

/// Adds to out the products of `count` values of A rows of a with those of B rows of b, rows being
/// `length` apart, in as many parts as there are lanes.
template <int64_t A, int64_t B>
void add_block(const double* a, const double* b, int64_t length, int64_t count, double* out,
               int64_t pitch) {
  Lanes sums[A][B] = {};
  const int64_t whole = count / kLanes * kLanes;
  for (int64_t k = 0; k < whole; k += kLanes)
    for (int64_t i = 0; i < A; ++i)
      for (int64_t j = 0; j < B; ++j)
        sums[i][j] += *reinterpret_cast<const Lanes*>(a + i * length + k) *
                      *reinterpret_cast<const Lanes*>(b + j * length + k);
  for (int64_t i = 0; i < A; ++i)
    for (int64_t j = 0; j < B; ++j) {
      double sum = 0.0;
      for (int64_t l = 0; l < kLanes; ++l) sum += sums[i][j][l];
      for (int64_t k = whole; k < count; ++k) sum += a[i * length + k] * b[j * length + k];
      out[i * pitch + j] += sum;
    }
}

template <int64_t A>
void add_rows(const double* a, const double* b, int64_t rows_b, int64_t length, int64_t count,
              double* out) {
  constexpr int64_t kBlock = 4;
  int64_t j = 0;
  for (; j + kBlock <= rows_b; j += kBlock)
    add_block<A, kBlock>(a, b + j * length, length, count, out + j, rows_b);
  for (; j < rows_b; ++j) add_block<A, 1>(a, b + j * length, length, count, out + j, rows_b);
}

}  // namespace

std::vector<double> to_doubles(const Tensor& t) {
  const Tensor values = t.to(Device()).dense();
  // Without a copy in double beside the result: prototypes are large.
  if (values.dtype() == DType::f32)
    return {values.data<float>(), values.data<float>() + values.numel()};
  const Tensor wide = values.to(DType::f64);
  return {wide.data<double>(), wide.data<double>() + wide.numel()};
}

DoubleMeans::DoubleMeans(const MixtureMeans& means)
    : classes(means.classes()),
      rank(means.low_rank() ? means.alpha.size(1) : 0),
      width(means.mean_size()),
      mean(to_doubles(means.mean)) {
  if (means.permutation.defined()) {
    const Tensor order = means.permutation.to(Device());
    const std::vector<double> ordered = mean;
    for (int64_t y = 0; y < classes; ++y)
      for (int64_t i = 0; i < order.numel(); ++i)
        mean[static_cast<size_t>(y * width + order.data<int32_t>()[i])] =
            ordered[static_cast<size_t>(y * width + i)];
  }
  if (rank == 0) return;
  alpha = to_doubles(means.alpha);
  prototypes = to_doubles(means.prototypes);
}

void dot_products(const double* a, int64_t rows_a, const double* b, int64_t rows_b, int64_t length,
                  double* out) {
  std::fill_n(out, rows_a * rows_b, 0.0);
  constexpr int64_t kBlock = 4;
  for (int64_t k = 0; k < length; k += kChunk) {
    const int64_t count = std::min(kChunk, length - k);
    int64_t i = 0;
    for (; i + kBlock <= rows_a; i += kBlock)
      add_rows<kBlock>(a + i * length + k, b + k, rows_b, length, count, out + i * rows_b);
    for (; i < rows_a; ++i)
      add_rows<1>(a + i * length + k, b + k, rows_b, length, count, out + i * rows_b);
  }
}

std::vector<double> quadratic_forms(const std::vector<double>& a, int64_t rows,
                                    const std::vector<double>& matrix, int64_t n) {
  std::vector<double> products(static_cast<size_t>(rows * n));
  dot_products(a.data(), rows, matrix.data(), n, n, products.data());
  std::vector<double> forms;
  for (auto i = static_cast<std::ptrdiff_t>(0); i < rows; ++i)
    forms.push_back(std::inner_product(a.begin() + i * n, a.begin() + (i + 1) * n,
                                       products.begin() + i * n, 0.0));
  return forms;
}

}  // namespace pal
