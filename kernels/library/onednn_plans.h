#pragma once
#include <vector>

#include "kernels/library/conv_way.h"
#include "kernels/library/onednn.h"

// The plans of convolutions by oneDNN. x and y are images, or their gradients; from their shapes
// alone, so they may be on a meta device.
namespace pal::cpu {

/// A pass as a primitive of the library, and the layouts that it wants.
struct ConvPlan {
  dnnl::primitive primitive;
  onednn::Memory::desc x, weight, y, bias, scratchpad;
};

/// The plan of a pass by all threads, made once per shape and number of threads.
const ConvPlan& plan_of(ConvPass pass, const Tensor& x, const Tensor& y, bool has_bias,
                        const ConvGeometry& g);

/// A slice's plan, its place among the images and, in bytes, in the workspace of all.
struct Slice {
  int64_t begin;
  const ConvPlan* plan;
  int64_t weight, bias, scratchpad;  // gradients of weights and bias, scratch memory
};

struct Slices {
  std::vector<Slice> parts;  // none: the pass is not cut
  int64_t workspace = 0;
};

/// How a pass is cut into slices of the images: one for each thread, with a plan for one thread, if
/// they are of about one size, and for the gradient of the weights if the slices' gradients take less
/// memory than half of the images. Then threads wait in our own loops, fewer of them may do the
/// slices while other processes want the processors, and the bits stay. The library's own threads
/// wait for each other without ever sleeping. Made once, as plans.
const Slices& slices_of(ConvPass pass, const Tensor& x, const Tensor& y, bool has_bias,
                        const ConvGeometry& g);

/// Our image [n, h, w, c] in oneDNN's logical order n, c, h, w.
onednn::Memory::desc image(const Tensor& t);

/// Our plain weights [out, k, k, in] in oneDNN's logical order out, in, k, k.
onednn::Memory::desc plain_weight(int64_t out, int64_t in, int64_t k, DType dtype);

}  // namespace pal::cpu
