#include "experiments/datasets/clean_images.h"

#include <algorithm>

#include "data/corruptions/corruption.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr Split kPart = Split::test;

/// Pixels that are in memory.
class StoredImages : public CleanImages {
 public:
  explicit StoredImages(std::unique_ptr<Dataset> set) : set_(std::move(set)) {}

  int64_t count() const override { return set_->info().count; }
  Image image(int64_t index) const override {
    const ImageSet& set = *set_->in_memory();
    const auto first = set.pixels.begin() + index * set.image_size();
    return {set.width, set.height, set.channels, {first, first + set.image_size()}, {}};
  }
  std::string path(int64_t index) const override {
    return tree_path(set_->info().class_names[static_cast<size_t>(set_->label(index))], index);
  }
  std::string key(int64_t index) const override {
    return path_in_set(name(), set_->item_name(index));
  }
  uint64_t fingerprint() const override { return set_->info().fingerprint; }
  std::string name() const override { return set_->info().name; }

 private:
  std::unique_ptr<Dataset> set_;
};

/// Pictures that are decoded when they are asked for.
class EncodedImages : public CleanImages {
 public:
  EncodedImages(std::unique_ptr<PictureSource> source, CleanOptions options)
      : source_(std::move(source)), options_(std::move(options)) {}

  int64_t count() const override { return source_->count(); }
  Image image(int64_t index) const override {
    thread_local std::vector<uint8_t> bytes;
    const TransformSpec& spec = options_.transform;
    const std::string item = source_->item_name(index);
    source_->read(index, bytes, most_file_bytes(spec.limits));
    if (options_.as_is) {
      Image own = decode_image(bytes, item, spec.limits, spec.exif);
      if (std::min(own.width, own.height) < kLeastCorruptedSide ||
          std::max(own.width, own.height) > kMostCorruptedSide)
        fail(ErrorKind::data,
             "{}: {}x{} pixels; corruptions take {} to {} a side: leave out --as-is", item,
             own.width, own.height, kLeastCorruptedSide, kMostCorruptedSide);
      return in_colour(std::move(own));
    }
    Image made{spec.size, spec.size, spec.channels, {}, {}};
    made.pixels.resize(static_cast<size_t>(made.height * made.row()));
    make_views(bytes, item, spec, Philox(0, RandomPurpose::augment), made.pixels);
    return made;
  }
  std::string path(int64_t index) const override {
    return tree_path(source_->class_names()[static_cast<size_t>(source_->label(index))],
                     key(index));
  }
  std::string key(int64_t index) const override {
    return path_in_set(name(), source_->item_name(index));
  }
  uint64_t fingerprint() const override { return source_->fingerprint(); }
  std::string name() const override { return source_->name(); }

 private:
  static Image in_colour(Image image) {
    if (image.channels == 3) return image;
    Image made{image.width, image.height, 3, {}, {}};
    for (const uint8_t level : image.pixels) made.pixels.insert(made.pixels.end(), 3, level);
    return made;
  }

  std::unique_ptr<PictureSource> source_;
  CleanOptions options_;
};

}  // namespace

std::unique_ptr<CleanImages> clean_images(const DatasetSpec& spec, const CleanOptions& options) {
  if (!is_encoded(spec)) return std::make_unique<StoredImages>(open_dataset(spec, kPart));
  return std::make_unique<EncodedImages>(open_pictures(spec, kPart), options);
}

}  // namespace pal
