#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "data/pictures/transforms.h"
#include "data/sources/picture_source.h"

namespace pal {

/// What libjpeg costs at the least: the pictures of a source decoded to RGB by one decompressor
/// that is kept, into memory that is kept, without looking for damage. For JPEGs known to be whole;
/// the first error ends the process, as is libjpeg's way.
class LibjpegFloor {
 public:
  /// `spec` says how parts are drawn. The source must outlive the object.
  LibjpegFloor(const PictureSource& source, const TransformSpec& spec);
  ~LibjpegFloor();
  LibjpegFloor(const LibjpegFloor&) = delete;
  LibjpegFloor& operator=(const LibjpegFloor&) = delete;

  /// Decodes picture `number`, modulo their count.
  void decode_whole(int64_t number);
  /// Decodes the part of it that a random resized crop takes, another each time, by libjpeg's own
  /// means: columns in whole blocks, rows above passed over, rows below not read.
  void decode_part(int64_t number);

 private:
  struct State;

  void open(int64_t number);

  const PictureSource& source_;
  const TransformSpec spec_;
  std::unique_ptr<State> state_;
  std::vector<uint8_t> bytes_;
  std::vector<uint8_t> pixels_;
};

}  // namespace pal
