#pragma once
#include <cstdint>
#include <memory>

#include "runtime/tensor.h"

namespace pal {

/// Copies of one parameter in the layouts (and the dtype) that the library wants, made anew when
/// `version` changes. One belongs to each parameter; kernels fill it.
class WeightShadow {
 public:
  /// Bumped by whoever changes the weights (the optimizer, a loader).
  uint64_t version = 1;
  struct Impl;
  /// A backend's copies; null before a kernel has made any.
  std::shared_ptr<Impl> impl;
  /// The parameter in bf16 on the GPU, at an aligned address, as it was at mirror_version: a view
  /// of a buffer that its owner brings up to date as a whole. Undefined: none.
  Tensor mirror;
  uint64_t mirror_version = 0;
};

/// What a backend keeps in a shadow. A shadow that another backend has filled (the model has moved)
/// is replaced by one's own.
struct WeightShadow::Impl {
  Impl() = default;
  virtual ~Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
};

/// The shadow's copies as the backend's type `Copies`, made if there are none of that type.
template <typename Copies>
Copies& copies_of(WeightShadow& shadow) {
  auto* copies = dynamic_cast<Copies*>(shadow.impl.get());
  if (copies != nullptr) return *copies;
  auto made = std::make_shared<Copies>();
  shadow.impl = made;
  return *made;
}

}  // namespace pal
