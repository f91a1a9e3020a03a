#include <utility>

#include "data/batches/encoded_loader.h"
#include "data/sets/dataset.h"
#include "runtime/error.h"

namespace pal {
namespace {

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

 private:
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
