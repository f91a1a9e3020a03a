#pragma once
#include "kernels/library/conv.h"

// Which convolutions the CPU runs as matrix products on plain weights: measured in
// bench/NOTES.md, "1x1 convolutions as matrix products".
namespace pal::cpu {

/// Which passes of a convolution are matrix products: a 1x1 convolution is the product of x as a
/// matrix [rows, in], rows = batch x height x width, with the weights.
struct ConvByGemm {
  /// The forward pass and the gradient of x. The library's convolutions are somewhat faster, but
  /// want the weights in two layouts, made anew in each step: with few rows that costs more.
  bool passes = false;
  /// The gradient of the weights, for which the library's convolutions are slower and need another
  /// layout in the end.
  bool weight_gradient = false;
};

/// The choice for a convolution from `in` to `out` channels.
inline ConvByGemm conv_by_gemm(int64_t rows, int64_t in, int64_t out, const ConvGeometry& g) {
  constexpr int64_t kFewestChannels = 256;
  constexpr int64_t kMostRows = 1024;
  const bool wide = in >= kFewestChannels && out >= kFewestChannels;
  return {g.is_product() && wide && rows <= kMostRows, g.is_product() && wide};
}

/// Whether the images are copied to the library's layout for the gradient of the weights. That of
/// strided float32 convolutions wants large images in blocks of channels: there it is up to four
/// times as fast as on ours, more than the copies cost.
inline bool conv_gradient_in_blocks(DType dtype, int64_t height, int64_t in,
                                    const ConvGeometry& g) {
  return dtype == DType::f32 && g.kernel > 1 && g.stride > 1 && height >= 56 && in >= 64;
}

/// The forward pass, the gradient of x, the gradient of the weights and the bias.
enum class ConvPass { forward, data, weight };

/// Bytes of memory that a pass takes for itself, by the present number of threads: what the library
/// (or winograd.h, or weight_product.h) asks for; in the library's gradient of the weights also that
/// gradient in its layout and, in blocks, both images. Plans the pass, from shapes alone, so x and y (or their gradients) may be on a meta device. 0 for f64 and for
/// what the processor cannot do.
int64_t conv_scratch(ConvPass pass, const Tensor& x, const Tensor& y, bool has_bias,
                     const ConvGeometry& g);

/// Makes the copies of the weights, on their meta device, that a pass would make in the library's
/// layouts and keep from then on.
void plan_copies(ConvPass pass, const Tensor& x, const Tensor& y, bool has_bias,
                 const ConvGeometry& g, const Tensor& weight, WeightShadow& shadow);

}  // namespace pal::cpu
