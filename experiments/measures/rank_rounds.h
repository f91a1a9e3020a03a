#pragma once
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <set>
#include <span>
#include <vector>

#include "data/batches/bad_images.h"
#include "runtime/communicator/communicator.h"

namespace pal {

/// Thrown out of long work that was asked to stop.
class Interrupted : public std::exception {
 public:
  const char* what() const noexcept override { return "interrupted"; }
};

/// Lists of numbers as bytes for another rank, which runs the same program: they are taken out in
/// the order in which they were added.
class Message {
 public:
  Message() = default;
  explicit Message(std::vector<uint8_t> bytes) : bytes_(std::move(bytes)) {}

  template <typename T>
  Message& add(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto count = static_cast<uint64_t>(values.size());
    append(&count, sizeof count);
    append(values.data(), values.size_bytes());
    return *this;
  }
  template <typename T>
  Message& add(const std::vector<T>& values) {
    return add(std::span<const T>(values));
  }
  template <typename T>
  std::vector<T> take() {
    uint64_t count = 0;
    extract(&count, sizeof count);
    std::vector<T> values(count);
    extract(values.data(), count * sizeof(T));
    return values;
  }
  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  void append(const void* from, size_t count) {
    const auto* const begin = static_cast<const uint8_t*>(from);
    bytes_.insert(bytes_.end(), begin, begin + count);
  }
  void extract(void* to, size_t count) {
    if (count > 0) std::memcpy(to, bytes_.data() + at_, count);
    at_ += count;
  }

  std::vector<uint8_t> bytes_;
  size_t at_ = 0;
};

/// Work that the ranks of a run do in rounds and tell each other about, so that all of them know
/// everything and all of them end together: what one rank throws, all throw in the same round (of
/// several ranks the first; an Interrupted only if there is nothing else).
class RankRounds {
 public:
  /// `ranks` exchanges tensors on the CPU; null or of size 1: this process alone, whose exceptions
  /// pass as they are. Pictures that a rank notes in `bad_images` (which may be null) are noted on
  /// all.
  explicit RankRounds(Communicator* ranks, BadImageLog* bad_images = nullptr)
      : ranks_(ranks), bad_images_(bad_images) {}

  int rank() const { return alone() ? 0 : ranks_->rank(); }
  int size() const { return alone() ? 1 : ranks_->size(); }

  /// Makes this rank's message and takes those of all ranks, in their order. What `make` throws on
  /// a rank is thrown by this call on all of them; what `take` throws, by the next call.
  void round(const std::function<Message()>& make, const std::function<void(Message&)>& take);
  /// Ends the rounds: throws what the last of them has left behind.
  void finish();

 private:
  bool alone() const { return ranks_ == nullptr || ranks_->size() == 1; }
  /// The messages of all ranks. Throws what any of them has run into.
  std::vector<Message> exchange(Message mine);
  /// Pictures noted since the last call.
  Message new_bad_images();

  Communicator* ranks_;
  BadImageLog* bad_images_;
  std::set<int64_t> known_bad_;
  std::exception_ptr trouble_;
};

/// Whether this rank writes what all have found.
inline bool is_first_rank(const Communicator* ranks) {
  return ranks == nullptr || ranks->rank() == 0;
}
/// What `make` makes on the first rank, on all of them; what it throws is thrown on all.
Message from_first_rank(Communicator* ranks, const std::function<Message()>& make);
/// Runs `body` on all ranks; what it throws on any is thrown on all.
void on_all_ranks(Communicator* ranks, const std::function<void()>& body);

}  // namespace pal
