#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace pal {

/// Encoded pictures with labels, as an image folder or tar shards hold them. All functions may be
/// called from any number of threads at once.
class PictureSource {
 public:
  virtual ~PictureSource() = default;

  /// What the set is called in messages: its folder or pattern.
  virtual const std::string& name() const = 0;
  /// Number of pictures.
  virtual int64_t count() const = 0;
  /// The names of the classes; labels are places in this list.
  virtual const std::vector<std::string>& class_names() const = 0;
  /// The class of one picture.
  virtual int32_t label(int64_t index) const = 0;
  /// What a picture is called in messages: PATH, or SHARD:MEMBER.
  virtual std::string item_name(int64_t index) const = 0;
  /// Overwrites `bytes` with the file of one picture. Throws data if it is gone, cut or larger than
  /// `most` bytes, environment for other failures; messages begin with item_name.
  virtual void read(int64_t index, std::vector<uint8_t>& bytes, int64_t most) const = 0;
  /// A hash that changes when names, labels or (for shards) sizes do.
  virtual uint64_t fingerprint() const = 0;
};

}  // namespace pal
