#include "data/corruptions/corrupted_set.h"

#include <algorithm>
#include <cmath>

#include "data/batches/epoch_plan.h"
#include "kernels/image/image.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

constexpr float kWhiteLevel = 255.0F;

/// How a set's images are changed.
struct Change {
  Corruption corruption;
  int severity;
  CorruptionOptions options;
};

class CorruptedBatches : public Batches {
 public:
  CorruptedBatches(const Dataset& base, std::unique_ptr<Batches> batches, LoaderOptions options,
                   const Change& change)
      : base_(base), batches_(std::move(batches)), options_(std::move(options)), change_(change) {}

  const LoaderOptions& options() const override { return options_; }
  int64_t count() const override { return batches_->count(); }
  double stall_seconds() const override { return batches_->stall_seconds(); }
  Batch batch(int64_t epoch, int64_t step) override {
    Batch made = batches_->batch(epoch, step);
    expect(made.views == 1, "corrupted_set: expected one view of each image, got {}", made.views);
    const int64_t count = made.images.size(0);
    std::vector<uint8_t> pixels(static_cast<size_t>(made.images.numel()));
    parallel_for(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const Image image = changed(
            made.images.slice_batch(i, 1),
            path_in_set(base_.info().name, base_.item_name(made.indices[static_cast<size_t>(i)])));
        std::ranges::copy(image.pixels, pixels.begin() + i * image.height * image.row());
      }
    });
    std::vector<ImagePlacement> placements(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) placements[static_cast<size_t>(i)].source = i;
    if (!options_.device.is_cpu())
      made.images = Tensor::empty(made.images.shape(), DType::f32, Tag::data, options_.device);
    PAL_BACKEND(made.images,
                normalize_images(pixels, placements, normalization_of(options_), made.images));
    return made;
  }

 private:
  Image changed(const Tensor& t, const std::string& path) const {
    Image image{t.size(2), t.size(1), t.channels(), {}, {}};
    const auto* const values = t.data<float>();
    for (int64_t i = 0; i < t.numel(); ++i) {
      const auto c = static_cast<size_t>(i % image.channels);
      image.pixels.push_back(static_cast<uint8_t>(
          std::round(kWhiteLevel * (values[i] * options_.std[c] + options_.mean[c]))));
    }
    return corrupted(image, change_.corruption, change_.severity, change_.options, path);
  }

  const Dataset& base_;
  std::unique_ptr<Batches> batches_;
  LoaderOptions options_;
  const Change& change_;
};

class CorruptedSet : public Dataset {
 public:
  CorruptedSet(const Dataset& base, Change change)
      : Dataset(base.info()), base_(base), change_(std::move(change)) {
    info_.name = fmt::format("{} {}", name_of(change_.corruption), change_.severity);
    check_corruption(info_.height, info_.width, info_.channels, change_.corruption,
                     change_.severity);
  }
  using Dataset::batches;
  std::unique_ptr<Batches> batches(std::vector<int64_t> indices,
                                   const LoaderOptions& options) const override {
    expect(!options.noise && !options.flip && options.shift == 0 && !options.shuffle,
           "corrupted_set: {} images come without noise and augmentation", info_.name);
    LoaderOptions plain = options;
    plain.device = Device();
    return std::make_unique<CorruptedBatches>(base_, base_.batches(std::move(indices), plain),
                                              options, change_);
  }
  int32_t label(int64_t index) const override { return base_.label(index); }
  std::string item_name(int64_t index) const override { return base_.item_name(index); }
  bool has_colour() const override { return base_.has_colour(); }

 private:
  const Dataset& base_;
  Change change_;
};

}  // namespace

std::unique_ptr<Dataset> corrupted_set(const Dataset& base, Corruption corruption, int severity,
                                       const CorruptionOptions& options) {
  return std::make_unique<CorruptedSet>(base, Change{corruption, severity, options});
}

}  // namespace pal
