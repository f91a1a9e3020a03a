#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "data/pictures/image_file.h"
#include "data/pictures/transforms.h"
#include "data/sets/open_dataset.h"

namespace pal {

/// Images of a set one by one, as a network would see them. Any number of threads may ask.
class CleanImages {
 public:
  virtual ~CleanImages() = default;
  virtual int64_t count() const = 0;
  /// Throws data for a picture that cannot be read, or as it is too small or large to be corrupted.
  virtual Image image(int64_t index) const = 0;
  /// CLASS/NAME, with the suffix that the picture has, if it is one.
  virtual std::string path(int64_t index) const = 0;
  /// What draws depend on, as for the same set in memory (data/corruptions/corruption.h).
  virtual std::string key(int64_t index) const = 0;
  /// Equal for equal images, or for pictures of equal names, wherever they lie.
  virtual uint64_t fingerprint() const = 0;
  /// What the set is called.
  virtual std::string name() const = 0;
};

/// How encoded pictures become images.
struct CleanOptions {
  TransformSpec transform;
  bool as_is = false;  ///< in their own size, in colour
};

/// The test part of a set, or what stands in for it. Throws as `open_dataset`.
std::unique_ptr<CleanImages> clean_images(const DatasetSpec& spec, const CleanOptions& options);

}  // namespace pal
