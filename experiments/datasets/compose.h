#pragma once
#include <cstdint>

#include "data/pictures/cutout.h"
#include "data/pictures/image_file.h"
#include "data/pictures/jpeg_encoder.h"
#include "runtime/philox.h"

namespace pal {

/// One random number after another.
class Draws {
 public:
  explicit Draws(const Philox& random) : random_(random) {}
  /// Uniform in [low, high).
  double uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(random_.uniform4(next_++)[0]);
  }
  /// Uniform in [0, bound).
  int64_t below(int64_t bound) {
    return static_cast<int64_t>(random_.below(next_++, static_cast<uint64_t>(bound)));
  }
  /// True or false, equally likely.
  bool coin() { return below(2) == 1; }

 private:
  Philox random_;
  uint32_t next_ = 0;
};

/// The image, shrunk in proportion if its shorter side is above `shorter` pixels.
Image shrink_to(Image image, int64_t shorter);

/// Makes a `size` x `size` image: a random square of an RGB photograph (a quarter to all of its
/// shorter side), perhaps mirrored, and on it the cut-out, perhaps mirrored, its longer side 0.6 to
/// 1 times `size`, up to a tenth of it outside.
Image compose(const Image& photo, const Cutout& cutout, int64_t size, Draws& draws);

/// Draws how a JPEG is encoded: quality 60 to 95 and one of the three subsamplings.
JpegSettings random_settings(Draws& draws);

}  // namespace pal
