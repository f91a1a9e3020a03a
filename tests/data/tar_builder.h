#pragma once
#include <fmt/core.h>

#include <cstring>
#include <string>
#include <string_view>

#include "data/archives/tar_format.h"
#include "tests/data/byte_builder.h"

namespace pal::testing {

inline Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

/// Builds archives member by member, right ones and wrong ones; independent of TarWriter.
class TarBuilder {
 public:
  /// A header that says `size`, whatever follows.
  TarBuilder& header(const std::string& name, uint64_t size, char type = '0',
                     std::string_view magic = kPosixMagic) {
    const size_t at = bytes_.size();
    bytes_.resize(at + 512);
    put(at, 0, name.substr(0, 100));
    put(at, 100, "0000644");
    put(at, 108, "0000000");
    put(at, 116, "0000000");
    put(at, 124, fmt::format("{:011o}", size));
    put(at, 136, "00000000000");
    bytes_[at + 156] = static_cast<uint8_t>(type);
    put(at, 257, magic);
    return seal(at);
  }
  TarBuilder& raw(const Bytes& content) {
    append(bytes_, content);
    return *this;
  }
  TarBuilder& pad() {
    bytes_.resize((bytes_.size() + 511) / 512 * 512);
    return *this;
  }
  TarBuilder& file(const std::string& name, const std::string& content, char type = '0',
                   std::string_view magic = kPosixMagic) {
    return header(name, content.size(), type, magic).raw(bytes_of(content)).pad();
  }
  TarBuilder& end(size_t blocks = 2) {
    bytes_.resize(bytes_.size() + 512 * blocks);
    return *this;
  }
  /// Overwrites a field of the header at `at` and makes its checksum right again.
  TarBuilder& patch(size_t at, size_t field, std::string_view text) {
    put(at, field, text);
    return seal(at);
  }
  const Bytes& bytes() const { return bytes_; }

 private:
  void put(size_t at, size_t field, std::string_view text) {
    std::memcpy(bytes_.data() + at + field, text.data(), text.size());
  }
  TarBuilder& seal(size_t at) {
    std::memset(bytes_.data() + at + 148, ' ', 8);
    uint64_t sum = 0;
    for (size_t i = 0; i < 512; ++i) sum += bytes_[at + i];
    put(at, 148, fmt::format("{:06o}", sum) + '\0');
    return *this;
  }

  Bytes bytes_;
};

/// LENGTH KEY=VALUE and a line's end.
inline std::string pax_record(const std::string& key, const std::string& value) {
  const size_t plain = key.size() + value.size() + 3;
  size_t length = plain + 1;
  while (length != plain + std::to_string(length).size()) ++length;
  return std::to_string(length) + " " + key + "=" + value + "\n";
}

}  // namespace pal::testing
