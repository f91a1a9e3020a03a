#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace pal {

/// XXH3-128 of bytes that come piece by piece.
class Digest {
 public:
  static constexpr size_t kDigits = 32;

  Digest();
  ~Digest();
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;

  /// Takes in the next bytes.
  void update(std::span<const uint8_t> bytes);
  /// The digest of all bytes so far: 32 hex digits in lower case, most significant first.
  std::string hex() const;
  /// What stands in for a digest while the file around it is hashed: 32 characters '0'.
  static std::span<const uint8_t> zeros();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Whether a text can be what hex() gives.
bool is_digest(std::string_view text);

}  // namespace pal
