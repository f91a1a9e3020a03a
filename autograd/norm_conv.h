#pragma once
#include "autograd/ops.h"

// Convolutions of normalised values, which are the larger half of what a subnet's tape would keep.
// They follow from the batch norm's input, so these ops can make them anew for the weight gradient
// instead of keeping them (Bulo, Porzi and Kontschieder 2018 do so for y, here it is x that stays,
// as the ReLU's mask follows from it too).
namespace pal {

/// How one batch norm behaves in one run.
struct NormRun {
  /// Weight, bias, mean and inv_std; the latter two are filled on the way if `measure` asks for it.
  BatchNormArgs args;
  /// mean and inv_std belong to this very batch, so gradients flow through them.
  bool batch_statistics_used = false;
  /// Statistics to measure and running ones to move; its mean and inv_std undefined: none.
  BatchStatistics measure;
};

/// conv(relu?(batch_norm(x))), for x with statistics measured before. The normalised values are of
/// dtype `result`, as is the convolution's result. They are made anew in the backward pass.
Variable norm_conv(const Variable& x, const Norm& norm, const NormRun& run, const Conv& conv,
                   DType result);

/// How little memory stem_norm_conv gets by with.
struct StemMemory {
  /// Also without the one gradient that is as large as the stem's result: it is made twice.
  bool lean = false;
  /// Images taken at once; 0: as many as stem_images says.
  int64_t images = 0;
};

/// conv(relu?(batch_norm(stem(x)))) for a stem of few input channels: neither the stem's result nor
/// the normalised values are kept, and there are never more of either than of a few images. The
/// stem runs once more for statistics, and twice in the backward pass. x is of dtype `result` or
/// f32. Throws usage for a stem with a bias and for an empty batch.
Variable stem_norm_conv(const Variable& x, const Conv& stem, const Norm& norm, const NormRun& run,
                        const Conv& conv, const StemMemory& memory, DType result);

/// Images that stem_norm_conv takes at once, for a stem with results of `bytes` per image: all of a
/// batch in equal parts, each of at most 16 MiB on a CPU (which its cache may hold), 256 MiB on a
/// GPU (which they keep busy), but for single images.
int64_t stem_images(int64_t batch, int64_t bytes, Device device);

}  // namespace pal
