#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace emulator::detail {

/// Where the ranks of one communicator meet, threads or processes: shared memory with a place for
/// each. For one thread at a time.
class Meeting {
 public:
  /// Bytes that each rank gives in one exchange.
  static constexpr std::size_t kPiece = std::size_t{1} << 18;

  /// Comes to the meeting of that name, as shm_open has it. Throws Fault if it cannot.
  Meeting(const std::string& name, int ranks, int rank);
  ~Meeting();
  Meeting(const Meeting&) = delete;
  Meeting& operator=(const Meeting&) = delete;

  /// Whether all ranks have come.
  bool complete() const;
  /// This rank takes part no more.
  void leave();
  bool somebody_left() const;

  /// What each rank says of an exchange; all must say the same.
  struct Terms {
    int operation = 0, type = 0, root = 0;
    std::size_t count = 0;
    bool operator==(const Terms&) const = default;
  };
  /// One exchange: calls give(place of kPiece bytes), and once all ranks have given
  /// take(their places, by rank). False: others have to go on first; the next call must ask for the
  /// same. Throws Fault if the terms of the ranks differ.
  bool exchange(const Terms& terms, const std::function<void(char*)>& give,
                const std::function<void(const std::vector<const char*>&)>& take);

 private:
  struct Place;
  struct Table;
  Place& place(int rank) const;

  const std::string name_;
  const int ranks_;
  const int rank_;
  std::size_t bytes_ = 0;
  Table* table_ = nullptr;
  int64_t round_ = 0;
  bool given_ = false;
};

}  // namespace emulator::detail
