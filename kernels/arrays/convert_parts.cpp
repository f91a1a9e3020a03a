#include "kernels/arrays/convert_parts.h"

#include "kernels/arrays/convert_parts_check.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {

void convert_parts(const Tensor& from, const Tensor& parts, const Tensor& to) {
  check_convert_parts(from, parts, to);
  const ProfileScope profile("convert_parts", to.bytes() + 2 * to.bytes());
  parallel_for(parts.size(0), 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int32_t* part = parts.data<int32_t>() + 3 * i;
      const float* source = from.data<float>() + part[0];
      bfloat16* target = to.data<bfloat16>() + part[1];
      for (int32_t k = 0; k < part[2]; ++k) target[k] = bfloat16(source[k]);
    }
  });
}

}  // namespace pal::cpu
