#pragma once
#include <cstdint>
#include <memory>
#include <string_view>

namespace pal {

/// XXH3-64 of texts and numbers that come one after another; where one ends and the next begins
/// counts.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  void add(std::string_view text);
  void add(int64_t number);
  /// The hash of all that was added so far.
  uint64_t value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pal
