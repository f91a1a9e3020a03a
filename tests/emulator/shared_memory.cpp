#include "tests/emulator/shared_memory.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "tests/emulator/block.h"
#include "tests/emulator/fault.h"
#include "tests/emulator/sanitizer.h"
#include "tests/emulator/scheduler.h"

namespace emulator::detail {
namespace {

constexpr std::size_t kRedZone = 64;

/// One shared array; its memory serves all blocks of a launch in turn.
class SharedArray {
 public:
  SharedArray(const void* key, std::size_t bytes, std::size_t alignment)
      : key_(key), bytes_(bytes), raw_(std::malloc(bytes + 2 * kRedZone + 16)) {
    if (!raw_) throw std::bad_alloc();
    // Not aligned to 16 bytes unless the type asks for it: UBSan then sees wider accesses that
    // hardware need not allow.
    auto* raw = static_cast<char*>(raw_.get());
    begin_ = raw + kRedZone + (alignment <= 8 ? 8 : 0);
    poison(raw, std::size_t(begin_ - raw));
    poison(begin_ + bytes, kRedZone);
  }

  const void* key() const { return key_; }
  std::size_t bytes() const { return bytes_; }
  /// Filled with 0xff, NaN as floats, at its first use in a block.
  void* in_block(int64_t block) {
    if (block != block_) std::memset(begin_, 0xff, bytes_);
    block_ = block;
    return begin_;
  }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  const void* key_;
  std::size_t bytes_;
  std::unique_ptr<void, Free> raw_;
  char* begin_;
  int64_t block_ = -1;
};

struct SharedMemory {
  std::vector<SharedArray> arrays;
  std::size_t dynamic_bytes = 0, limit = 0, static_bytes = 0;
};
SharedMemory memory;
constexpr char kDynamicKey = 0;

void* find_or_add(const void* key, std::size_t bytes, std::size_t alignment) {
  const int64_t block = scheduler().blocks();
  for (SharedArray& array : memory.arrays) {
    if (array.key() != key) continue;
    if (array.bytes() != bytes) scheduler().fault("a shared array is asked for in two sizes");
    return array.in_block(block);
  }
  if (!scheduler().running()) throw Fault("emulator: shared memory outside of a kernel");
  if (alignment > 16) scheduler().fault("shared memory is aligned to 16 bytes at most");
  memory.arrays.emplace_back(key, bytes, alignment);
  return memory.arrays.back().in_block(block);
}

}  // namespace

SharedMemoryScope::SharedMemoryScope(std::size_t dynamic_bytes, std::size_t limit) {
  memory.dynamic_bytes = dynamic_bytes;
  memory.limit = limit;
  memory.static_bytes = 0;
}

SharedMemoryScope::~SharedMemoryScope() { memory.arrays.clear(); }

void* shared_array(const void* key, std::size_t bytes, std::size_t alignment) {
  const std::size_t arrays = memory.arrays.size();
  void* begin = find_or_add(key, bytes, alignment);
  if (memory.arrays.size() == arrays) return begin;
  memory.static_bytes += bytes;
  if (memory.static_bytes > kSharedBytes ||
      memory.static_bytes + memory.dynamic_bytes > memory.limit)
    scheduler().fault(std::to_string(memory.static_bytes) + " bytes of static and " +
                      std::to_string(memory.dynamic_bytes) +
                      " bytes of dynamic shared memory; the limit is " +
                      std::to_string(memory.limit));
  return begin;
}

void* dynamic_shared_array() {
  if (memory.dynamic_bytes == 0) scheduler().fault("launched without dynamic shared memory");
  return find_or_add(&kDynamicKey, memory.dynamic_bytes, 16);
}

}  // namespace emulator::detail
