#include "kernels/blocked/product.h"

#include "kernels/blocked/multiply.h"

namespace pal::blocked {
namespace {

Matrix matrix(const Tensor& t) { return {t.data<float>(), t.pitch()}; }

template <typename Left>
void multiply_left(const Extents& extents, const Left& left, const Product& p) {
  const float* const bias = p.bias.defined() ? p.bias.data<float>() : nullptr;
  const DenseRows target = {p.c.data<float>(), p.c.pitch()};
  const Matrix b = matrix(p.b);
  if (p.transpose_b) return multiply(extents, left, RightTransposed{b}, bias, p.accumulate, target);
  const auto row = [b](int64_t k) { return b.at(k, 0); };
  multiply(extents, left, RightRows<decltype(row)>{row}, bias, p.accumulate, target);
}

}  // namespace

void multiply(const Product& p) {
  const Extents extents = {p.c.rows(), p.c.channels(), p.transpose_a ? p.a.rows() : p.a.channels()};
  if (p.transpose_a)
    multiply_left(extents, LeftTransposed{matrix(p.a)}, p);
  else
    multiply_left(extents, LeftRows<MatrixRows>{{matrix(p.a)}}, p);
}

}  // namespace pal::blocked
