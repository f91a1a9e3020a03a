#include "kernels/library/conv_way.h"

#include "kernels/common/vector.h"
#include "kernels/library/platform.h"
#include "kernels/winograd/winograd.h"

namespace pal::cpu {
namespace {

bool by_winograd(ConvPass pass, const Tensor& x, const Tensor& y, const ConvGeometry& g) {
  static const bool wide = loops_have_library_width();
  if (!wide || g.kernel != 3 || g.stride != 1 || g.padding != 1) return false;
  if (pass == ConvPass::weight) return winograd::pays_for_weights(x, y);
  return pass == ConvPass::forward ? winograd::pays(x, y) : winograd::pays(y, x);
}

/// Whether a pass that is not Winograd's is faster as a product of our own than the library's.
bool by_blocks(ConvPass pass, int64_t in, int64_t out, const ConvGeometry& g) {
  const int64_t fewest = std::min(in, out);
  if (g.kernel == 1) {
    if (pass == ConvPass::weight) return in >= 32 && out >= 8;
    return pass == ConvPass::data && g.stride == 1 && fewest >= 32 && in * out > 4096;
  }
  if (pass == ConvPass::weight) return fewest >= 32 || (in >= 2 && out >= 64);
  return fewest >= 32 && (g.stride > 1 || in * out >= 256 * 256);
}

}  // namespace

bool products_are_ours() {
  static const bool ours = kVectorBytes == 32 && loops_have_library_width();
  return ours;
}

bool product_pays(ConvPass pass, int64_t rows, int64_t in, int64_t out) {
  constexpr int64_t kFewestChannels = 256;
  constexpr int64_t kMostRows = 1024;
  return std::min(in, out) >= kFewestChannels && (pass == ConvPass::weight || rows <= kMostRows);
}

ConvWay conv_way(ConvPass pass, const Tensor& x, const Tensor& y, const ConvGeometry& g) {
  const int64_t in = x.channels();
  const int64_t out = y.channels();
  if (x.dtype() == DType::f32) {
    if (by_winograd(pass, x, y, g)) return ConvWay::winograd;
    if (products_are_ours() && by_blocks(pass, in, out, g)) return ConvWay::blocked;
  }
  if (g.is_product() && product_pays(pass, x.rows(), in, out)) return ConvWay::product;
  return ConvWay::library;
}

bool conv_gradient_in_blocks(DType dtype, int64_t height, int64_t in, const ConvGeometry& g) {
  return dtype == DType::f32 && g.kernel > 1 && g.stride > 1 && height >= 56 && in >= 64;
}

}  // namespace pal::cpu
