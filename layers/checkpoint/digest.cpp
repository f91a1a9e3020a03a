#include "layers/checkpoint/digest.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <array>
#include <new>

namespace pal {

struct Digest::State {
  XXH3_state_t* hash = XXH3_createState();
  State() {
    if (hash == nullptr) throw std::bad_alloc();
    XXH3_128bits_reset(hash);
  }
  ~State() { XXH3_freeState(hash); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Digest::Digest() : state_(std::make_unique<State>()) {}
Digest::~Digest() = default;

void Digest::update(std::span<const uint8_t> bytes) {
  if (!bytes.empty()) XXH3_128bits_update(state_->hash, bytes.data(), bytes.size());
}

std::string Digest::hex() const {
  const XXH128_hash_t value = XXH3_128bits_digest(state_->hash);
  return fmt::format("{:016x}{:016x}", value.high64, value.low64);
}

std::span<const uint8_t> Digest::zeros() {
  static const std::array<uint8_t, kDigits> digits = [] {
    std::array<uint8_t, kDigits> filled{};
    filled.fill('0');
    return filled;
  }();
  return digits;
}

bool is_digest(std::string_view text) {
  return text.size() == Digest::kDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace pal
