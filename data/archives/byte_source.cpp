#include "data/archives/byte_source.h"

#include <zlib.h>

#include <algorithm>
#include <limits>

#include "runtime/error.h"

namespace pal {
namespace {

/// Deflate cannot expand a byte to more than 1032 (zlib's technical notes); the constant covers the
/// window at the start of short streams.
constexpr uint64_t kMaxExpansion = 1032;

constexpr uint8_t kGzipMagic[] = {0x1f, 0x8b};

bool is_gzip(std::span<const uint8_t> bytes) {
  return bytes.size() >= 2 && std::equal(kGzipMagic, kGzipMagic + 2, bytes.begin());
}

class MemorySource : public ByteSource {
 public:
  explicit MemorySource(std::span<const uint8_t> bytes) : rest_(bytes), most_(bytes.size()) {}

  size_t read(std::span<uint8_t> target) override {
    const size_t count = std::min(target.size(), rest_.size());
    std::copy_n(rest_.begin(), count, target.begin());
    rest_ = rest_.subspan(count);
    return count;
  }
  uint64_t most() const override { return most_; }

 private:
  std::span<const uint8_t> rest_;
  uint64_t most_;
};

class GzipSource : public ByteSource {
 public:
  GzipSource(std::span<const uint8_t> bytes, std::string name)
      : bytes_(bytes), name_(std::move(name)) {
    constexpr int kGzipWindow = 16 + MAX_WBITS;
    if (inflateInit2(&stream_, kGzipWindow) != Z_OK)
      fail(ErrorKind::environment, "{}: zlib cannot start: out of memory", name_);
  }
  ~GzipSource() override { inflateEnd(&stream_); }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;

  size_t read(std::span<uint8_t> target) override {
    size_t filled = 0;
    while (filled < target.size() && !done_) filled += step(target.subspan(filled));
    return filled;
  }
  uint64_t most() const override { return bytes_.size() * kMaxExpansion + kMaxExpansion; }

 private:
  static uInt piece(size_t size) {
    return static_cast<uInt>(std::min<size_t>(size, std::numeric_limits<uInt>::max()));
  }

  size_t step(std::span<uint8_t> target) {
    stream_.next_in = const_cast<Bytef*>(bytes_.data() + used_);  // zlib's input is not const
    stream_.avail_in = piece(bytes_.size() - used_);
    stream_.next_out = target.data();
    stream_.avail_out = piece(target.size());
    const uInt offered = stream_.avail_in;
    const uInt room = stream_.avail_out;
    const int status = inflate(&stream_, Z_NO_FLUSH);
    used_ += offered - stream_.avail_in;
    const size_t made = room - stream_.avail_out;
    if (status == Z_STREAM_END) {
      end_member();
    } else if (status == Z_BUF_ERROR || (status == Z_OK && made == 0 && used_ == bytes_.size())) {
      fail(ErrorKind::data, "{}:{}: the gzip stream is cut; fetch the file again", name_, used_);
    } else if (status != Z_OK) {
      fail(ErrorKind::data, "{}:{}: broken gzip stream ({}); fetch the file again", name_, used_,
           stream_.msg != nullptr ? stream_.msg : "no reason given");
    }
    return made;
  }

  /// gzip files may be concatenated; anything else after the end is refused.
  void end_member() {
    if (used_ == bytes_.size()) {
      done_ = true;
    } else if (is_gzip(bytes_.subspan(used_))) {
      inflateReset(&stream_);
    } else {
      fail(ErrorKind::data, "{}:{}: {} bytes follow the end of the gzip stream", name_, used_,
           bytes_.size() - used_);
    }
  }

  std::span<const uint8_t> bytes_;
  std::string name_;
  size_t used_ = 0;
  bool done_ = false;
  z_stream stream_{};
};

}  // namespace

std::unique_ptr<ByteSource> open_bytes(std::span<const uint8_t> bytes, const std::string& name) {
  if (is_gzip(bytes)) return std::make_unique<GzipSource>(bytes, name);
  return std::make_unique<MemorySource>(bytes);
}

}  // namespace pal
