#pragma once
#include "autograd/norm_conv.h"

// 1x1 convolutions of normalised values as one pass over the batch norm's input: the values are
// made on their way into the product (kernels/product) and never stored, forward or backward.
namespace pal {

/// Whether subnets run a batch norm of x and the convolution after it as norm_product, which is a
/// setting of the process (CudaMath::fused_products): a 1x1 convolution in bf16 on a GPU whose
/// shapes has_norm_product takes, unless multiplying takes far longer than moving bytes. It follows
/// from x and the setting alone, so that all runs of a subnet give the same bits.
bool fuses_norm_product(const Tensor& x, const Conv& conv, DType result);

/// conv(relu?(batch_norm(x))) for a 1x1 convolution of stride 1, for x with statistics measured
/// before: norm_conv in one kernel, also on the way forward. Keeps x. `measure_result`: statistics
/// of the result to be measured on the way, and running ones to move, for a batch norm that follows;
/// its mean undefined: none; they are of all norm.ranks, too. Throws usage for other convolutions.
Variable norm_product(const Variable& x, const Norm& norm, const NormRun& run, const Conv& conv,
                      DType result, const BatchStatistics& measure_result = {});

}  // namespace pal
