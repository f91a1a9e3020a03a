#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace pal {

/// Encoded pictures with labels, as an image folder or tar shards hold them. All functions may be
/// called from any number of threads at once.
class ImageSource {
 public:
  virtual ~ImageSource() = default;

  /// The folder or pattern, for messages.
  virtual const std::string& name() const = 0;
  virtual int64_t count() const = 0;
  /// One per class; labels are places in this list.
  virtual const std::vector<std::string>& class_names() const = 0;
  virtual int32_t label(int64_t index) const = 0;
  /// PATH, or SHARD:MEMBER.
  virtual std::string item_name(int64_t index) const = 0;
  /// Overwrites `bytes` with the file of one picture. Throws data if it is gone, cut or larger than
  /// `most` bytes, environment for other failures; messages begin with item_name.
  virtual void read(int64_t index, std::vector<uint8_t>& bytes, int64_t most) const = 0;
  /// Changes when names, labels or (for shards) sizes do.
  virtual uint64_t fingerprint() const = 0;
};

}  // namespace pal
