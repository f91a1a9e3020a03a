#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <string>
#include <vector>

#include "runtime/error.h"
#include "runtime/random_reader.h"

namespace pal {

/// Reads bytes [begin, end) front to back through a small buffer. Throws data beyond the end.
class ByteWindow {
 public:
  ByteWindow(const RandomReader& bytes, int64_t begin, int64_t end)
      : bytes_(bytes), window_begin_(begin), end_(end) {}

  /// Where in the source the next byte stands.
  int64_t offset() const { return window_begin_ + static_cast<int64_t>(at_); }

  /// The next byte.
  uint8_t next() {
    if (at_ == window_.size()) refill();
    return window_[at_++];
  }
  /// The next `count` bytes.
  std::string take(int64_t count) {
    if (count > end_ - offset()) cut();
    std::string text(static_cast<size_t>(count), '\0');
    for (char& c : text) c = static_cast<char>(next());
    return text;
  }
  /// The next sizeof(T) bytes as a little-endian number.
  template <typename T>
  T number() {
    std::array<char, sizeof(T)> raw;
    for (char& c : raw) c = static_cast<char>(next());
    return std::bit_cast<T>(raw);
  }

 private:
  void refill() {
    constexpr int64_t kBytes = 1 << 16;
    if (end_ <= offset()) cut();
    window_begin_ = offset();
    window_.resize(static_cast<size_t>(std::min(kBytes, end_ - window_begin_)));
    bytes_.read(window_begin_, window_);
    at_ = 0;
  }
  [[noreturn]] void cut() const {
    fail(ErrorKind::data, "{}:{}: cut off here", bytes_.name(), offset());
  }

  const RandomReader& bytes_;
  int64_t window_begin_;
  int64_t end_;
  std::vector<uint8_t> window_;
  size_t at_ = 0;
};

}  // namespace pal
