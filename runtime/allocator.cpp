#include "runtime/allocator.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "runtime/byte_count.h"
#include "runtime/cuda.h"
#include "runtime/error.h"

namespace pal {
namespace {

thread_local Tag current_tag = Tag::workspace;

int64_t round_up(int64_t bytes, int64_t unit) { return (bytes + unit - 1) / unit * unit; }

void* allocate_host(int64_t bytes) { return std::aligned_alloc(64, static_cast<size_t>(bytes)); }
void release_host(void* pointer) noexcept { std::free(pointer); }

/// Addresses that nobody may use, for a meta device: unlike each other and never null.
void* number_block(int64_t bytes) {
  static std::atomic<uintptr_t> next{4096};
  // NOLINTNEXTLINE(performance-no-int-to-ptr): a name, which nobody follows
  return reinterpret_cast<void*>(next.fetch_add(static_cast<uintptr_t>(bytes)));
}
void forget_block(void*) noexcept {}

std::string left_on_gpu() {
  const cuda::DeviceMemory memory = cuda::device_memory();
  return fmt::format("{} of its {} are free; ", format_bytes(memory.free),
                     format_bytes(memory.total));
}
std::string unknown() { return {}; }

bool is_activation(Tag tag) {
  return tag == Tag::stream || tag == Tag::subnet || tag == Tag::workspace;
}

}  // namespace

const char* name_of(Tag tag) {
  static constexpr std::array<const char*, kTagCount> kNames = {
      "parameters", "gradients",  "optimizer", "stream", "subnet",
      "workspace",  "statistics", "anchors",   "data"};
  return kNames[static_cast<size_t>(tag)];
}

/// Where an allocator's memory comes from.
struct Allocator::Source {
  const char* owner;
  void* (*allocate)(int64_t bytes);
  void (*release)(void* pointer) noexcept;
  int64_t unit;  ///< requests are rounded up to multiples
  bool cached;
  std::string (*left)();  ///< what it could still give, for messages
};

struct Allocator::Pool::Blocks {
  std::multimap<int64_t, void*> free;  // by capacity
  int64_t reserved = 0;
  bool recording = false;
  std::unordered_set<void*> recorded;
  std::function<void()> forget;
};

struct Allocator::State {
  using Blocks = Pool::Blocks;
  struct Block {
    int64_t capacity;
    int64_t counted;
    Tag tag;
    Blocks* home;  // null: the cache
  };
  explicit State(const Source& from) : source(from) {}

  const Source source;
  mutable std::mutex mutex;
  std::unordered_map<void*, Block> used;
  Blocks cache;
  Blocks* pool = nullptr;  // of the innermost PoolScope
  std::vector<Blocks*> pools;
  MemoryStats stats;
  int64_t limit = 0;

  void count(Tag tag, int64_t bytes) {
    auto& current = stats.current[static_cast<size_t>(tag)];
    current += bytes;
    stats.current_total += bytes;
    stats.peak[static_cast<size_t>(tag)] = std::max(stats.peak[static_cast<size_t>(tag)], current);
    stats.peak_total = std::max(stats.peak_total, stats.current_total);
    if (is_activation(tag))
      stats.peak_activations = std::max(stats.peak_activations, activations());
  }
  int64_t activations() const {
    return stats.current_of(Tag::stream) + stats.current_of(Tag::subnet) +
           stats.current_of(Tag::workspace);
  }
  void reserve(Blocks& blocks, int64_t bytes) {
    blocks.reserved += bytes;
    stats.reserved += bytes;
    stats.peak_reserved = std::max(stats.peak_reserved, stats.reserved);
  }
  void give_back(Blocks& blocks, void* pointer, int64_t capacity) noexcept {
    source.release(pointer);
    blocks.reserved -= capacity;
    stats.reserved -= capacity;
  }
  /// Gives all free blocks back but those of a recording.
  void drop(Blocks& blocks) {
    std::erase_if(blocks.free, [&](const auto& block) {
      if (blocks.recorded.contains(block.second)) return false;
      give_back(blocks, block.second, block.first);
      return true;
    });
  }
  /// Memory of the system. What is kept for later goes back to it as far as it must, that which is
  /// the least trouble to do without first.
  void* ask(int64_t bytes) {
    void* pointer = source.allocate(bytes);
    const auto retry_without = [&](Blocks& blocks) {
      if (pointer != nullptr) return;
      const int64_t before = blocks.reserved;
      drop(blocks);
      if (blocks.reserved < before) pointer = source.allocate(bytes);
    };
    retry_without(cache);
    for (Blocks* const each : pools) retry_without(*each);
    for (Blocks* const each : pools) {
      if (pointer != nullptr || each == pool || each->recording || each->recorded.empty() ||
          !each->forget)
        continue;
      each->forget();
      each->recorded.clear();
      retry_without(*each);
    }
    return pointer;
  }
  /// A block of at least `bytes` from `blocks` or the system; its capacity goes to `capacity`.
  void* take(Blocks& blocks, int64_t bytes, int64_t& capacity) {
    void* const pointer = take_any(blocks, bytes, capacity);
    if (blocks.recording && pointer != nullptr) blocks.recorded.insert(pointer);
    return pointer;
  }
  void* take_any(Blocks& blocks, int64_t bytes, int64_t& capacity) {
    // The smallest free block that fits and wastes at most a quarter.
    const auto found = blocks.free.lower_bound(bytes);
    if (found != blocks.free.end() && found->first <= bytes + bytes / 4 + 256) {
      void* const pointer = found->second;
      capacity = found->first;
      blocks.free.erase(found);
      return pointer;
    }
    capacity = bytes;
    void* const pointer = ask(bytes);
    if (pointer != nullptr) reserve(blocks, bytes);
    return pointer;
  }
};

Allocator::Allocator(const Source& source) : state_(new State(source)) {}
Allocator::~Allocator() {
  state_->drop(state_->cache);
  delete state_;
}

Allocator& Allocator::cpu() {
  // Never destroyed: tensors with static lifetime may be released after main.
  static auto* allocator =
      new Allocator({"system", allocate_host, release_host, 64, true, unknown});
  return *allocator;
}

Allocator& Allocator::of(Device device) {
  if (device.meta) {
    static auto* counter =
        new Allocator({"meta device", number_block, forget_block, 64, false, unknown});
    return *counter;
  }
  if (device.is_cpu()) return cpu();
  // The emulator watches the borders of each block, so it gets every single request.
  static auto* allocator =
      new Allocator({"GPU", cuda::allocate, cuda::release, cuda::emulated() ? int64_t{1} : 512,
                     !cuda::emulated(), left_on_gpu});
  return *allocator;
}

void* Allocator::allocate(int64_t bytes, Tag tag) {
  // No machine has 2^62 bytes, and sums below cannot overflow.
  const int64_t asked = std::clamp<int64_t>(bytes, 1, int64_t{1} << 62);
  const int64_t counted = round_up(asked, 64);
  const std::lock_guard lock(state_->mutex);
  if (state_->limit > 0 && counted > state_->limit - state_->stats.current_total)
    fail(ErrorKind::environment,
         "memory-limit: {} more for {} would exceed the limit of {}; in use: {}; lower the batch "
         "size or raise the limit",
         format_bytes(counted), name_of(tag), format_bytes(state_->limit), state_->stats.table());
  int64_t capacity = 0;
  Pool::Blocks* const home = state_->pool;
  void* const pointer = state_->take(home != nullptr ? *home : state_->cache,
                                     round_up(asked, state_->source.unit), capacity);
  if (pointer == nullptr)
    fail(ErrorKind::environment,
         "memory: the {} refused {} for {}; {}{} are held, {} of them in use: {}; lower the batch "
         "size",
         state_->source.owner, format_bytes(counted), name_of(tag), state_->source.left(),
         format_bytes(state_->stats.reserved), format_bytes(state_->stats.current_total),
         state_->stats.table());
  state_->used.emplace(pointer, State::Block{capacity, counted, tag, home});
  state_->count(tag, counted);
  return pointer;
}

void Allocator::release(void* pointer) noexcept {
  if (pointer == nullptr) return;
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->used.find(pointer);
  if (found == state_->used.end()) return;
  const State::Block block = found->second;
  state_->used.erase(found);
  state_->count(block.tag, -block.counted);
  Pool::Blocks& home = block.home != nullptr ? *block.home : state_->cache;
  if (state_->source.cached || block.home != nullptr) try {
      home.free.emplace(block.capacity, pointer);
      return;
    } catch (const std::bad_alloc&) {
    }
  home.recorded.erase(pointer);
  state_->give_back(home, pointer, block.capacity);
}

bool Allocator::pooled() const {
  const std::lock_guard lock(state_->mutex);
  return state_->pool != nullptr;
}

Allocator::Pool::Pool(Device device, std::function<void()> forget)
    : allocator_(of(device)), blocks_(new Blocks) {
  blocks_->forget = std::move(forget);
  const std::lock_guard lock(allocator_.state_->mutex);
  allocator_.state_->pools.push_back(blocks_);
}
Allocator::Pool::~Pool() {
  State& state = *allocator_.state_;
  const std::lock_guard lock(state.mutex);
  // Blocks still in use stay with their tensors.
  for (auto& [pointer, block] : state.used)
    if (block.home == blocks_) {
      block.home = nullptr;
      state.cache.reserved += block.capacity;
    }
  blocks_->recorded.clear();
  state.drop(*blocks_);
  std::erase(state.pools, blocks_);
  delete blocks_;
}
void Allocator::Pool::drop_recording() {
  const std::lock_guard lock(allocator_.state_->mutex);
  blocks_->recorded.clear();
}
void Allocator::Pool::trim() {
  const std::lock_guard lock(allocator_.state_->mutex);
  allocator_.state_->drop(*blocks_);
}
int64_t Allocator::Pool::reserved() const {
  const std::lock_guard lock(allocator_.state_->mutex);
  return blocks_->reserved;
}

Allocator::PoolScope::PoolScope(Pool& pool) : pool_(pool) {
  const std::lock_guard lock(pool.allocator_.state_->mutex);
  previous_ = std::exchange(pool.allocator_.state_->pool, pool.blocks_);
}
Allocator::PoolScope::~PoolScope() {
  const std::lock_guard lock(pool_.allocator_.state_->mutex);
  pool_.allocator_.state_->pool = previous_;
}

Allocator::RecordingScope::RecordingScope(Pool& pool) : pool_(pool) {
  const std::lock_guard lock(pool.allocator_.state_->mutex);
  pool.blocks_->recording = true;
}
Allocator::RecordingScope::~RecordingScope() {
  const std::lock_guard lock(pool_.allocator_.state_->mutex);
  pool_.blocks_->recording = false;
}

void Allocator::set_limit(int64_t bytes) {
  const std::lock_guard lock(state_->mutex);
  state_->limit = bytes;
}

MemoryStats Allocator::stats() const {
  const std::lock_guard lock(state_->mutex);
  return state_->stats;
}

void Allocator::reset_peaks() {
  const std::lock_guard lock(state_->mutex);
  state_->stats.peak = state_->stats.current;
  state_->stats.peak_total = state_->stats.current_total;
  state_->stats.peak_activations = state_->activations();
  state_->stats.peak_reserved = state_->stats.reserved;
}

void Allocator::trim() {
  const std::lock_guard lock(state_->mutex);
  state_->drop(state_->cache);
}

std::string MemoryStats::table() const {
  std::string text;
  for (int tag = 0; tag < kTagCount; ++tag) {
    const auto i = static_cast<size_t>(tag);
    if (peak[i] == 0) continue;
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {} (peak {})", name_of(static_cast<Tag>(tag)), format_bytes(current[i]),
                        format_bytes(peak[i]));
  }
  return text;
}

TagScope::TagScope(Tag tag) : previous_(current_tag) { current_tag = tag; }
TagScope::~TagScope() { current_tag = previous_; }
Tag TagScope::current() { return current_tag; }

}  // namespace pal
