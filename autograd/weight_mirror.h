#pragma once
#include "autograd/parameter.h"

namespace pal {

/// bf16 copies of a network's parameters for the libraries of a GPU, in one buffer that is brought
/// up to date in one launch, where each copy by itself would be one. Every copy begins at a
/// multiple of 16 bytes. The class means have none.
class WeightMirror {
 public:
  /// Brings the copies of the store's parameters up to date, if they are not or if a graph is being
  /// recorded, which must hold the copying; makes them if there are none. Does nothing on a CPU.
  void refresh(ParameterStore& store);

 private:
  void lay_out(ParameterStore& store);

  Tensor values_;  ///< the flat buffer for which this is laid out
  Tensor mirror_, parts_;
};

}  // namespace pal
