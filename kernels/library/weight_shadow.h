#pragma once
#include "kernels/library/conv.h"

namespace pal {

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
