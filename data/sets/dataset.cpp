#include "data/sets/dataset.h"

#include <numeric>
#include <utility>

#include "data/batches/memory_loader.h"

namespace pal {
namespace {

class MemoryDataset : public Dataset {
 public:
  explicit MemoryDataset(ImageSet set)
      : Dataset({set.name, set.count, set.height, set.width, set.channels, set.class_names,
                 set.fingerprint}),
        set_(std::move(set)) {}

  std::unique_ptr<Batches> batches(std::vector<int64_t> indices,
                                   const LoaderOptions& options) const override {
    return std::make_unique<MemoryLoader>(set_, std::move(indices), options);
  }
  const ImageSet* in_memory() const override { return &set_; }
  int32_t label(int64_t index) const override { return set_.labels[static_cast<size_t>(index)]; }
  std::string item_name(int64_t index) const override { return std::to_string(index); }

 private:
  ImageSet set_;
};

}  // namespace

std::vector<int64_t> all_images(const DatasetInfo& info) {
  std::vector<int64_t> indices(static_cast<size_t>(info.count));
  std::iota(indices.begin(), indices.end(), int64_t{0});
  return indices;
}

std::unique_ptr<Batches> Dataset::batches(const LoaderOptions& options) const {
  return batches(all_images(info_), options);
}

std::unique_ptr<Dataset> memory_dataset(ImageSet set) {
  return std::make_unique<MemoryDataset>(std::move(set));
}

}  // namespace pal
