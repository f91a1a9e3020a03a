#include "data/sources/hasher.h"

#include <xxhash.h>

namespace pal {

struct Hasher::State {
  XXH3_state_t* hash = XXH3_createState();
  State() { XXH3_64bits_reset(hash); }
  ~State() { XXH3_freeState(hash); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Hasher::Hasher() : state_(std::make_unique<State>()) {}
Hasher::~Hasher() = default;

void Hasher::add(std::string_view text) {
  add(static_cast<int64_t>(text.size()));
  XXH3_64bits_update(state_->hash, text.data(), text.size());
}

void Hasher::add(int64_t number) { XXH3_64bits_update(state_->hash, &number, sizeof number); }

uint64_t Hasher::value() const { return XXH3_64bits_digest(state_->hash); }

}  // namespace pal
