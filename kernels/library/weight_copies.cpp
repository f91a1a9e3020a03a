#include "kernels/library/weight_copies.h"

#ifdef PAL_CUDA
#include "kernels/arrays/elementwise.h"
#include "runtime/cuda.h"
#endif

namespace pal {

namespace cpu {

// oneDNN's copies are made where their layout is known.
Tensor library_copy(const Tensor& parameter, WeightShadow&, DType) { return parameter; }

}  // namespace cpu

#ifdef PAL_CUDA
namespace cuda {
namespace {

/// The libraries' fast engines read 16 bytes at a time.
constexpr uintptr_t kAlignment = 16;

/// Copies of a parameter that the libraries can read: in bf16, or aligned.
struct DeviceCopies final : WeightShadow::Impl {
  struct Copy {
    Tensor storage;
    uint64_t version = 0;
    uint64_t recording = 0;
  };
  Copy f32, bf16;
};

}  // namespace

Tensor library_copy(const Tensor& parameter, WeightShadow& shadow, DType dtype) {
  const bool aligned = reinterpret_cast<uintptr_t>(parameter.raw()) % kAlignment == 0;
  if (dtype == parameter.dtype() && aligned) return parameter;
  if (dtype == DType::bf16 && shadow.mirror.defined()) {
    if (shadow.mirror_version != shadow.version) {
      copy_convert(parameter, shadow.mirror);
      shadow.mirror_version = shadow.version;
    }
    return shadow.mirror;
  }
  auto& copies = copies_of<DeviceCopies>(shadow);
  DeviceCopies::Copy& copy = dtype == DType::bf16 ? copies.bf16 : copies.f32;
  if (!copy.storage.defined()) {
    copy.storage = Tensor::empty(parameter.shape(), dtype, Tag::parameters, parameter.device());
    copy.version = shadow.version - 1;
  }
  // A recorded graph is replayed after weights have changed: it must hold the copying, even if the
  // copy is up to date while it is recorded.
  const uint64_t recording = recording_id();
  if (copy.version != shadow.version || (recording != 0 && copy.recording != recording)) {
    copy_convert(parameter, copy.storage);
    copy.version = shadow.version;
    copy.recording = recording;
  }
  return copy.storage;
}

}  // namespace cuda
#endif

}  // namespace pal
