#pragma once
#include <exception>
#include <vector>

#include "data/batches/batches.h"
#include "data/batches/epoch_plan.h"
#include "data/batches/picture_reader.h"
#include "data/batches/prefetcher.h"
#include "data/sources/picture_source.h"

namespace pal {

/// Batches of encoded pictures, decoded by threads ahead of the one that asks: those that follow
/// the last batch asked for, in training across the end of the epoch too. Asking for them in order
/// costs nothing; any other order is possible but waits for the batch. The same batch again, while
/// no other was asked for, is not decoded again.
///
/// A batch also throws data for a picture that cannot be read and may not be passed over, of
/// several the first one, and if no picture is left of a whole batch; a share of which no picture
/// is left comes without images. The loader can be used further.
///
/// The noise of view v of ten crops has the stream image_stream + v * 2^60.
class EncodedLoader : public Batches {
 public:
  /// Pictures become `size` x `size` with 1 or 3 `channels`, whatever options.transform says. The
  /// source must outlive the loader. Throws usage if the options do not fit, an index lies outside
  /// the source, or there is no whole batch.
  EncodedLoader(const PictureSource& source, int64_t size, int64_t channels,
                std::vector<int64_t> indices, LoaderOptions options);

  const LoaderOptions& options() const override { return options_; }
  int64_t count() const override { return plan_.count(); }
  double stall_seconds() const override { return prefetcher_.stall_seconds(); }

 private:
  struct Picture {
    int64_t index = 0;  ///< the wanted one, and once it is made the one that is there, or kLeftOut
    std::exception_ptr error;
  };
  /// A batch before normalisation.
  struct Slot {
    int64_t epoch = 0;
    std::vector<Picture> pictures;
    Tensor levels;  ///< u8 [most images of a batch * views, size, size, channels]
  };

  Batch make_batch(int64_t epoch, int64_t step, const ImageMemory& images) override;
  int64_t begin(int64_t number, int64_t slot);
  void make(int64_t worker, int64_t slot, int64_t place);

  const PictureSource& source_;
  LoaderOptions options_;
  EpochPlan plan_;
  PictureReader reader_;
  int64_t views_;
  Shape view_shape_;  ///< [views, size, size, channels]
  std::vector<Slot> slots_;
  Prefetcher prefetcher_;  ///< last, so that its threads end first
};

}  // namespace pal
