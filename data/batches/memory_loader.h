#pragma once
#include "data/batches/batches.h"
#include "data/batches/epoch_plan.h"
#include "data/sources/image_set.h"

namespace pal {

/// Batches of an in-memory set, made by the thread that asks when it asks.
class MemoryLoader : public Batches {
 public:
  /// The set must outlive the loader. Throws usage if the options do not fit the set, an index lies
  /// outside it, or there is no whole batch.
  MemoryLoader(const ImageSet& set, std::vector<int64_t> indices, LoaderOptions options);
  /// Batches of all images of the set; else the same.
  MemoryLoader(const ImageSet& set, LoaderOptions options);

  const LoaderOptions& options() const override { return options_; }
  int64_t count() const override { return plan_.count(); }

 private:
  Batch make_batch(int64_t epoch, int64_t step, const ImageMemory& images) override;

  const ImageSet& set_;
  LoaderOptions options_;
  EpochPlan plan_;
};

}  // namespace pal
