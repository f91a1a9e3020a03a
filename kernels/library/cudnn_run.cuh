#pragma once
#include "kernels/library/cudnn_plans.cuh"

namespace pal::cudnn {

/// The operands of a convolution or, in a backward pass, their gradients: dense tensors on the GPU,
/// at any address.
struct Operands {
  Tensor x, weight, y;
};

/// Computes what the problem says and overwrites its result: y, x or weight, by the pass. The
/// engine is chosen when the problem is first met: the one chosen before (cuda_settings.h), the
/// fastest if engines are to be measured, else the first proposed one that works. Returns false,
/// and the reason in `why`, if there is none.
bool run(const Problem& problem, const Operands& operands, std::string* why);

/// cudnn_plans' images_at_a_time on this device; worked out when the problem is first met.
int64_t images_at_a_time(const Problem& problem);

}  // namespace pal::cudnn
