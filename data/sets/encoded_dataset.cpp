#include <algorithm>
#include <utility>

#include "data/batches/encoded_loader.h"
#include "data/pictures/image_file.h"
#include "data/sets/dataset.h"
#include "runtime/error.h"

namespace pal {
namespace {

/// Whether more than a few pixels differ between channels by more than what the chroma of a grey
/// JPEG rounds to.
bool is_coloured(const Image& image) {
  constexpr int kLevels = 16;
  constexpr int64_t kFew = 1000;  // one pixel in so many
  if (image.channels != 3) return false;
  int64_t coloured = 0;
  for (size_t i = 0; i + 2 < image.pixels.size(); i += 3) {
    const auto [least, most] =
        std::minmax({image.pixels[i], image.pixels[i + 1], image.pixels[i + 2]});
    coloured += most - least > kLevels ? 1 : 0;
  }
  return coloured * kFew > image.width * image.height;
}

class EncodedDataset : public Dataset {
 public:
  EncodedDataset(std::unique_ptr<PictureSource> source, int64_t size, int64_t channels,
                 std::vector<std::string> class_names)
      : Dataset({source->name(), source->count(), size, size, channels, std::move(class_names),
                 source->fingerprint()}),
        source_(std::move(source)) {
    TransformSpec transform;
    transform.size = size;
    transform.channels = channels;
    check_transform(transform);
  }

  using Dataset::batches;
  std::unique_ptr<Batches> batches(std::vector<int64_t> indices,
                                   const LoaderOptions& options) const override {
    return std::make_unique<EncodedLoader>(*source_, info_.height, info_.channels,
                                           std::move(indices), options);
  }
  int32_t label(int64_t index) const override { return source_->label(index); }
  std::string item_name(int64_t index) const override { return source_->item_name(index); }
  bool has_colour() const override {
    constexpr int64_t kLooks = 8;
    const int64_t looks = std::min(kLooks, source_->count());
    for (int64_t i = 0; i < looks; ++i)
      if (shows_colour(i * source_->count() / looks)) return true;
    return false;
  }

 private:
  bool shows_colour(int64_t index) const {
    try {
      const ImageLimits limits;
      std::vector<uint8_t> bytes;
      source_->read(index, bytes, most_file_bytes(limits));
      return is_coloured(decode_image(bytes, item_name(index), limits));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      return false;  // whoever reads it for training reports it
    }
  }

  std::unique_ptr<PictureSource> source_;
};

}  // namespace

std::unique_ptr<Dataset> encoded_dataset(std::unique_ptr<PictureSource> source, int64_t size,
                                         int64_t channels, std::vector<std::string> class_names) {
  if (class_names.empty()) class_names = source->class_names();
  expect(class_names.size() == source->class_names().size(), "{}: {} class names for {} classes",
         source->name(), class_names.size(), source->class_names().size());
  return std::make_unique<EncodedDataset>(std::move(source), size, channels,
                                          std::move(class_names));
}

}  // namespace pal
