#include "tests/emulator/memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "tests/emulator/control.h"
#include "tests/emulator/fault.h"
#include "tests/emulator/graph.h"
#include "tests/emulator/sanitizer.h"

namespace emulator {
namespace detail {
namespace {

constexpr std::size_t kDefaultLimit = std::size_t{16} << 30;
constexpr std::size_t kAlignment = 256;
constexpr std::size_t kRedZone = 64;
// Closing and opening that takes no longer than this many nanoseconds is always done.
constexpr int64_t kAlwaysClosed = 20'000;

struct Allocation {
  char* begin;
  std::size_t bytes;
  std::size_t usable;
  Space space;
};

struct Memory {
  std::recursive_mutex mutex;
  std::vector<Allocation> allocations;  // sorted by begin
  std::size_t limit = kDefaultLimit;
  std::size_t device_bytes = 0;
  int64_t device_count = 0;
  int nesting = 0;
  bool open = false;
  int64_t work = 0;
};

// Never destroyed: allocators give memory back from destructors of their own, and what they keep
// stays reachable for the leak check.
Memory& memory() {
  static auto* instance = new Memory;
  return *instance;
}

std::size_t shadowed(std::size_t bytes) { return (bytes + 7) / 8 * 8; }

/// The allocation with the largest begin that is not above `pointer`, or null.
Allocation* below(const void* pointer) {
  auto& all = memory().allocations;
  const auto next =
      std::upper_bound(all.begin(), all.end(), static_cast<const char*>(pointer),
                       [](const char* p, const Allocation& a) { return p < a.begin; });
  return next == all.begin() ? nullptr : &*std::prev(next);
}

/// The allocation that holds `pointer` or ends at it, or null.
Allocation* find(const void* pointer) {
  Allocation* a = below(pointer);
  return a && static_cast<const char*>(pointer) <= a->begin + a->bytes ? a : nullptr;
}

void open_all() {
  Memory& m = memory();
  if (m.open) return;
  m.open = true;
  if (!kAsan) return;
  for (const Allocation& a : m.allocations)
    if (a.space == Space::device) unpoison(a.begin, a.usable);
}

void close_all() {
  Memory& m = memory();
  if (!m.open) return;
  m.open = false;
  m.work = 0;
  if (!kAsan) return;
  for (const Allocation& a : m.allocations)
    if (a.space == Space::device) poison(a.begin, shadowed(a.usable));
}

/// Nanoseconds that closing and opening take: writing the shadow bytes, and a call for each.
int64_t cost_of_closing() {
  const Memory& m = memory();
  return int64_t(m.device_bytes) / 100 + 40 * m.device_count;
}

}  // namespace

void* allocate(std::size_t bytes, Space space) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const bool device = space == Space::device;
  if (device && bytes > m.limit - std::min(m.limit, m.device_bytes)) return nullptr;
  const std::size_t whole = (bytes + kRedZone + kAlignment - 1) / kAlignment * kAlignment;
  auto* begin = static_cast<char*>(std::aligned_alloc(kAlignment, whole));
  if (!begin) return nullptr;
  std::memset(begin, 0xff, bytes);
  poison(begin + bytes, whole - bytes);
  if (device) {
    m.device_bytes += bytes;
    ++m.device_count;
    if (!m.open) poison(begin, whole);
  }
  const auto position = std::upper_bound(m.allocations.begin(), m.allocations.end(), begin,
                                         [](char* p, const Allocation& a) { return p < a.begin; });
  m.allocations.insert(position, {begin, bytes, bytes, space});
  return begin;
}

bool release(void* begin, Space space) {
  if (!begin) return true;
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  Allocation* a = below(begin);
  if (!a || a->begin != begin || a->space != space) return false;
  if (space == Space::device) {
    m.device_bytes -= a->bytes;
    --m.device_count;
  }
  m.allocations.erase(m.allocations.begin() + (a - m.allocations.data()));
  std::free(begin);
  return true;
}

Space space_of(const void* pointer) {
  const std::lock_guard lock(memory().mutex);
  const Allocation* a = find(pointer);
  return a ? a->space : Space::host;
}

bool is_device_accessible(const void* pointer) { return space_of(pointer) != Space::host; }

bool is_inside(const void* begin, std::size_t bytes, Space space) {
  const std::lock_guard lock(memory().mutex);
  const Allocation* a = find(begin);
  return a && a->space == space && static_cast<const char*>(begin) + bytes <= a->begin + a->usable;
}

std::size_t memory_limit() { return memory().limit; }

DeviceWork::DeviceWork() {
  memory().mutex.lock();
  ++memory().nesting;
  open_all();
}

DeviceWork::~DeviceWork() {
  Memory& m = memory();
  if (--m.nesting == 0) {
    const int64_t cost = cost_of_closing();
    if (cost <= kAlwaysClosed || m.work >= cost) close_all();
  }
  m.mutex.unlock();
}

void DeviceWork::charge(int64_t nanoseconds) { memory().work += nanoseconds; }

void close_device_memory() {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  if (m.nesting == 0) close_all();
}

}  // namespace detail

void set_memory_limit(std::size_t bytes) {
  detail::memory().limit = bytes ? bytes : detail::kDefaultLimit;
}

std::size_t device_bytes() { return detail::memory().device_bytes; }

void set_usable_bytes(void* begin, std::size_t bytes) {
  detail::Memory& m = detail::memory();
  const std::lock_guard lock(m.mutex);
  detail::Allocation* a = detail::below(begin);
  if (!a || a->begin != begin || a->space != detail::Space::device || bytes > a->bytes)
    throw Fault("emulator: set_usable_bytes: not the begin of a device allocation of at least " +
                std::to_string(bytes) + " bytes");
  const bool capturing = detail::is_capturing_here();
  if (capturing && bytes <= a->usable) return;
  detail::poison(a->begin, detail::shadowed(a->bytes));
  a->usable = bytes;
  if (!capturing) {
    detail::unpoison(a->begin, bytes);
    std::memset(a->begin, 0xff, bytes);
    if (!m.open) detail::poison(a->begin, detail::shadowed(bytes));
  } else if (m.open) {
    detail::unpoison(a->begin, bytes);
  }
}

}  // namespace emulator
