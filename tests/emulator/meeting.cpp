#include "tests/emulator/meeting.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "tests/emulator/fault.h"

namespace emulator::detail {

// Both begin as zeros, which is what new shared memory holds.
struct Meeting::Place {
  std::atomic<int64_t> given;  // the last exchange that this rank gave something to
  std::atomic<int64_t> taken;  // and that it is done with
  Terms terms;
  alignas(16) char bytes[kPiece];
};

/// The ranks' places follow.
struct alignas(64) Meeting::Table {
  std::atomic<int> arrived;
  std::atomic<int> left;
};

static_assert(std::atomic<int64_t>::is_always_lock_free);

Meeting::Meeting(const std::string& name, int ranks, int rank)
    : name_(name), ranks_(ranks), rank_(rank) {
  bytes_ = sizeof(Table) + static_cast<std::size_t>(ranks) * sizeof(Place);
  const int file = shm_open(name.c_str(), O_RDWR | O_CREAT, 0600);
  void* memory = MAP_FAILED;
  if (file >= 0 && ftruncate(file, static_cast<off_t>(bytes_)) == 0)
    memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  const int error = errno;
  if (file >= 0) close(file);
  if (memory == MAP_FAILED)
    throw Fault("emulator: shared memory " + name + ": " + std::strerror(error));
  table_ = static_cast<Table*>(memory);
  // The memory stays until nobody uses it.
  if (++table_->arrived == ranks) shm_unlink(name.c_str());
}

Meeting::~Meeting() {
  if (!complete()) shm_unlink(name_.c_str());
  munmap(table_, bytes_);
}

Meeting::Place& Meeting::place(int rank) const {
  return reinterpret_cast<Place*>(table_ + 1)[rank];
}
bool Meeting::complete() const { return table_->arrived >= ranks_; }
void Meeting::leave() { ++table_->left; }
bool Meeting::somebody_left() const { return table_->left > 0; }

bool Meeting::exchange(const Terms& terms, const std::function<void(char*)>& give,
                       const std::function<void(const std::vector<const char*>&)>& take) {
  Place& mine = place(rank_);
  if (!given_) {
    for (int r = 0; r < ranks_; ++r)
      if (place(r).taken < round_) return false;
    mine.terms = terms;
    give(mine.bytes);
    mine.given = ++round_;
    given_ = true;
  }
  std::vector<const char*> all;
  for (int r = 0; r < ranks_; ++r) {
    if (place(r).given < round_) return false;
    if (place(r).terms != terms)
      throw Fault("emulator: NCCL: ranks " + std::to_string(rank_) + " and " + std::to_string(r) +
                  " ask for " + std::to_string(terms.count) + " and " +
                  std::to_string(place(r).terms.count) + " elements, or for different things");
    all.push_back(place(r).bytes);
  }
  take(all);
  given_ = false;
  mine.taken = round_;
  return true;
}

}  // namespace emulator::detail
