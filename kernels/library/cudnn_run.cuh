#pragma once
#include "kernels/library/cudnn_plans.cuh"

namespace pal::cudnn {

/// Dense tensors on the GPU, at any address.
struct Operands {
  Tensor x, weight, y;
};

/// Computes what the problem says and overwrites its result: y, x or weight, by the pass. The
/// engine is chosen when the problem is first met: the one chosen before (cuda_settings.h), the
/// fastest if engines are to be measured, else the first proposed one that works. False, and the
/// reason, if there is none.
bool run(const Problem& problem, const Operands& operands, std::string* why);

/// images_at_a_time on this device; worked out when the problem is first met.
int64_t images_at_a_time(const Problem& problem);

}  // namespace pal::cudnn
