#include "data/variants/changed_set.h"

#include <algorithm>
#include <cmath>

#include "data/batches/epoch_plan.h"
#include "kernels/image/image.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

constexpr float kWhiteLevel = 255.0F;

class ChangedBatches : public Batches {
 public:
  ChangedBatches(std::unique_ptr<Batches> batches, LoaderOptions options, const ImageChange& change)
      : batches_(std::move(batches)), options_(std::move(options)), change_(change) {}

  const LoaderOptions& options() const override { return options_; }
  int64_t count() const override { return batches_->count(); }
  double stall_seconds() const override { return batches_->stall_seconds(); }

 private:
  Batch make_batch(int64_t epoch, int64_t step, const ImageMemory& images) override {
    Batch made = batches_->batch(epoch, step);
    expect(made.views == 1, "changed_set: expected one view of each image, got {}", made.views);
    if (made.indices.empty()) return made;
    const int64_t count = made.images.size(0);
    std::vector<uint8_t> pixels(static_cast<size_t>(made.images.numel()));
    parallel_for(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const Image image = change_(levels_of(made.images.slice_batch(i, 1)),
                                    made.indices[static_cast<size_t>(i)], options_.seed);
        std::ranges::copy(image.pixels, pixels.begin() + i * image.height * image.row());
      }
    });
    std::vector<ImagePlacement> placements(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) placements[static_cast<size_t>(i)].source = i;
    if (images || !options_.device.is_cpu()) made.images = memory_for(made.images.shape(), images);
    PAL_BACKEND(made.images,
                normalize_images(pixels, placements, normalization_of(options_), made.images));
    return made;
  }

  Image levels_of(const Tensor& t) const {
    Image image{t.size(2), t.size(1), t.channels(), {}, {}};
    const auto* const values = t.data<float>();
    for (int64_t i = 0; i < t.numel(); ++i) {
      const auto c = static_cast<size_t>(i % image.channels);
      image.pixels.push_back(static_cast<uint8_t>(
          std::round(kWhiteLevel * (values[i] * options_.std[c] + options_.mean[c]))));
    }
    return image;
  }

  std::unique_ptr<Batches> batches_;
  LoaderOptions options_;
  const ImageChange& change_;
};

class ChangedSet : public Dataset {
 public:
  ChangedSet(const Dataset& base, const std::string& name, ImageChange change)
      : Dataset(base.info()), base_(base), change_(std::move(change)) {
    info_.name = name;
  }
  using Dataset::batches;
  std::unique_ptr<Batches> batches(std::vector<int64_t> indices,
                                   const LoaderOptions& options) const override {
    expect(!options.noise && !options.flip && options.shift == 0 && !options.shuffle,
           "changed_set: {} images come without noise and augmentation", info_.name);
    LoaderOptions plain = options;
    plain.device = Device();
    return std::make_unique<ChangedBatches>(base_.batches(std::move(indices), plain), options,
                                            change_);
  }
  int32_t label(int64_t index) const override { return base_.label(index); }
  std::string item_name(int64_t index) const override { return base_.item_name(index); }
  bool has_colour() const override { return base_.has_colour(); }

 private:
  const Dataset& base_;
  ImageChange change_;
};

}  // namespace

std::unique_ptr<Dataset> changed_set(const Dataset& base, const std::string& name,
                                     ImageChange change) {
  return std::make_unique<ChangedSet>(base, name, std::move(change));
}

}  // namespace pal
