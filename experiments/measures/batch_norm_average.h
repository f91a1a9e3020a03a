#pragma once
#include <cstdint>
#include <functional>

#include "data/batches/batches.h"
#include "layers/models/model.h"
#include "runtime/communicator/communicator.h"

namespace pal {

/// Replaces values, the running statistics of a model say, by their mean over the ranks, each
/// weighted by the images it has seen. `ranks` exchanges tensors on the device of `values`, `host`
/// on the CPU.
void average_over_ranks(const Tensor& values, int64_t images, Communicator& ranks,
                        Communicator& host);

/// Replaces the running statistics of all batch norms by the mean over `batches` whole batches of
/// the loader, weights unchanged (experiments/measures/README.md, 9). `stop` is asked before each
/// batch: true ends the work with Interrupted. Of ranks (`host`, which exchanges tensors on the CPU
/// and may be null) each takes the shares that its loader delivers, and all end with their mean; an
/// error or a stop of one is thrown on all.
void reaverage_batch_norm(Model& model, Batches& loader, int64_t batches,
                          const std::function<bool()>& stop = {}, Communicator* host = nullptr);

}  // namespace pal
