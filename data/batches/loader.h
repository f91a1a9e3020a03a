#pragma once
#include "data/batches/batches.h"
#include "data/batches/epoch_plan.h"
#include "data/sources/image_set.h"

namespace pal {

/// Batches of an in-memory set.
class BatchLoader : public Batches {
 public:
  /// The set must outlive the loader. Throws usage if the options do not fit the set, an index lies
  /// outside it, or there is no whole batch.
  BatchLoader(const ImageSet& set, std::vector<int64_t> indices, LoaderOptions options);
  /// Of all images of the set.
  BatchLoader(const ImageSet& set, LoaderOptions options);

  const LoaderOptions& options() const override { return options_; }
  int64_t count() const override { return plan_.count(); }
  Batch batch(int64_t epoch, int64_t step) override;

 private:
  const ImageSet& set_;
  LoaderOptions options_;
  EpochPlan plan_;
};

}  // namespace pal
