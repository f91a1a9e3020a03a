#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/batches/batches.h"
#include "data/sources/image_set.h"
#include "data/sources/picture_source.h"

namespace pal {

/// What programs need to know of a data set.
struct DatasetInfo {
  std::string name;
  int64_t count = 0;   ///< images
  int64_t height = 0;  ///< of the images as a network gets them
  int64_t width = 0;
  int64_t channels = 0;
  std::vector<std::string> class_names;
  uint64_t fingerprint = 0;  ///< as ImageSet and PictureSource have it

  int64_t classes() const { return static_cast<int64_t>(class_names.size()); }
};

/// The indices of all images of a set, ascending.
std::vector<int64_t> all_images(const DatasetInfo& info);

/// Labelled images that come in batches, wherever they are kept.
class Dataset {
 public:
  virtual ~Dataset() = default;

  const DatasetInfo& info() const { return info_; }
  /// Batches of some of the images, which must lie in the set. The data set must outlive them.
  /// Throws usage if the options do not fit the set or there is no whole batch.
  virtual std::unique_ptr<Batches> batches(std::vector<int64_t> indices,
                                           const LoaderOptions& options) const = 0;
  /// Batches of all images of the set.
  std::unique_ptr<Batches> batches(const LoaderOptions& options) const;
  /// The pixels, if they are in memory; else null.
  virtual const ImageSet* in_memory() const { return nullptr; }
  /// The class of an image.
  virtual int32_t label(int64_t index) const = 0;
  /// What an image is called in messages and tables.
  virtual std::string item_name(int64_t index) const = 0;
  /// Whether some pictures are coloured, whatever channels the network gets: decodes up to eight,
  /// spread over the set, and passes over those that cannot be read. Pixels in memory go by
  /// their number of channels.
  virtual bool has_colour() const { return info_.channels == 3; }

 protected:
  explicit Dataset(DatasetInfo info) : info_(std::move(info)) {}
  DatasetInfo info_;
};

/// A set whose pixels are in memory.
std::unique_ptr<Dataset> memory_dataset(ImageSet set);

/// Encoded pictures, decoded to `size` x `size` with 1 or 3 channels when batches are made: the
/// loader's transform says how. Classes are called as the source says, or by `class_names`, one for
/// each.
std::unique_ptr<Dataset> encoded_dataset(std::unique_ptr<PictureSource> source, int64_t size,
                                         int64_t channels,
                                         std::vector<std::string> class_names = {});

}  // namespace pal
