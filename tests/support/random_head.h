#pragma once
#include "layers/mixture_head.h"
#include "tests/support/numeric.h"

namespace pal::testing {

/// A mixture head in double whose class means are random, of some rank (0: full).
struct RandomHead {
  explicit RandomHead(int64_t rank, int64_t channels = 6, int64_t side = 3, int64_t classes = 5)
      : head({.classes = classes,
              .dims = side * side * channels,
              .mean_dims = channels,
              .rank = rank}) {
    StateList state;
    head.collect(state);
    store.materialise(state.parameters, DType::f64, 3);
    head.initialise(DType::f64);
    for (Parameter* p : state.parameters)
      p->value.copy_from(random_tensor(p->shape, DType::f64, static_cast<uint64_t>(p->shape[0])));
  }

  MixtureHead head;
  ParameterStore store;
};

}  // namespace pal::testing
