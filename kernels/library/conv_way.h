#pragma once
#include "kernels/library/conv.h"

// How the CPU computes the passes of a convolution: measured in bench/NOTES.md, "Fewer multiplications",
// "Products of our own" and "1x1 convolutions as matrix products".
namespace pal::cpu {

/// The forward pass and the bias, the gradient of x, the gradient of the weights.
enum class ConvPass { forward, data, weight };

enum class ConvWay {
  library,   ///< by oneDNN's convolutions
  product,   ///< a 1x1 convolution as gemm.h's product of plain matrices
  winograd,  ///< by fewer multiplications (kernels/winograd/winograd.h)
  blocked,   ///< as a product of our own with gathered rows (kernels/blocked/convolution.h)
};

/// The way of a pass from x to y, which may be gradients, and on a meta device. Of f32 and bf16.
ConvWay conv_way(ConvPass pass, const Tensor& x, const Tensor& y, const ConvGeometry& g);

/// Whether products of matrices in float32 are our own: on x86-64 with AVX2, where that was measured, but
/// without AVX-512, where the library's reach nine tenths of the rate.
bool products_are_ours();

/// Whether 1x1 convolutions from `in` to `out` channels are products for the library too: with few rows
/// as its convolutions, which are somewhat faster, want the weights in two layouts of their own, made
/// anew in each step; gradients of weights as those of its convolutions are slower and need another
/// layout in the end.
bool product_pays(ConvPass pass, int64_t rows, int64_t in, int64_t out);

/// Whether the images are copied to the library's layout for the gradient of the weights. That of
/// strided float32 convolutions wants large images in blocks of channels: there it is up to four
/// times as fast as on ours, more than the copies cost.
bool conv_gradient_in_blocks(DType dtype, int64_t height, int64_t in, const ConvGeometry& g);

/// Bytes of memory that a pass takes for itself, by the present number of threads; in the library's
/// gradient of the weights also that gradient in its layout and, in blocks, both images. Plans the pass,
/// from shapes alone, so x and y (or their gradients) may be on a meta device. 0 for f64 and for what the
/// processor cannot do.
int64_t conv_scratch(ConvPass pass, const Tensor& x, const Tensor& y, bool has_bias,
                     const ConvGeometry& g);

/// Makes the copies of the weights, on their meta device, that a pass would make in the library's
/// layouts and keep from then on.
void plan_copies(ConvPass pass, const Tensor& x, const Tensor& y, bool has_bias,
                 const ConvGeometry& g, const Tensor& weight, WeightShadow& shadow);

}  // namespace pal::cpu
