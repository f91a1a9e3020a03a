#include "runtime/allocator.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <unordered_map>

#include "runtime/error.h"

namespace pal {
namespace {

constexpr int64_t kAlignment = 64;

thread_local Tag current_tag = Tag::workspace;

int64_t round_up(int64_t bytes, int64_t unit) { return (bytes + unit - 1) / unit * unit; }

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

struct Allocator::State {
  struct Block {
    int64_t capacity;
    int64_t counted;
    Tag tag;
  };
  mutable std::mutex mutex;
  std::unordered_map<void*, Block> used;
  std::multimap<int64_t, void*> cached;  // by capacity
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
  void drop_cache() {
    for (const auto& [capacity, pointer] : cached) std::free(pointer);
    cached.clear();
  }
};

Allocator::Allocator() : state_(new State) {}
Allocator::~Allocator() {
  state_->drop_cache();
  delete state_;
}

Allocator& Allocator::cpu() {
  // Never destroyed: tensors with static lifetime may be released after main.
  static auto* allocator = new Allocator;
  return *allocator;
}

void* Allocator::allocate(int64_t bytes, Tag tag) {
  // No machine has 2^62 bytes, and sums below cannot overflow.
  const int64_t asked = std::clamp<int64_t>(bytes, 1, int64_t{1} << 62);
  const int64_t counted = round_up(asked, kAlignment);
  const std::lock_guard lock(state_->mutex);
  if (state_->limit > 0 && counted > state_->limit - state_->stats.current_total)
    fail(ErrorKind::environment,
         "--memory-limit: {} more for {} would exceed the limit of {}; in use: {}; lower the batch "
         "size or raise the limit",
         format_bytes(counted), name_of(tag), format_bytes(state_->limit), state_->stats.table());
  void* pointer = nullptr;
  int64_t capacity = 0;
  // The smallest cached block that fits and wastes at most a quarter.
  const auto found = state_->cached.lower_bound(counted);
  if (found != state_->cached.end() && found->first <= counted + counted / 4 + 256) {
    capacity = found->first;
    pointer = found->second;
    state_->cached.erase(found);
  } else {
    capacity = counted;
    pointer = std::aligned_alloc(kAlignment, static_cast<size_t>(capacity));
    if (pointer == nullptr) {
      state_->drop_cache();
      pointer = std::aligned_alloc(kAlignment, static_cast<size_t>(capacity));
    }
    if (pointer == nullptr)
      fail(ErrorKind::environment, "memory: the system refused {} for {}; in use: {}",
           format_bytes(counted), name_of(tag), state_->stats.table());
  }
  state_->used.emplace(pointer, State::Block{capacity, counted, tag});
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
  try {
    state_->cached.emplace(block.capacity, pointer);
  } catch (const std::bad_alloc&) {
    std::free(pointer);
  }
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
}

void Allocator::trim() {
  const std::lock_guard lock(state_->mutex);
  state_->drop_cache();
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

std::string format_bytes(int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes >= int64_t{1} << 30) return fmt::format("{:.2f} GiB", value / (1 << 30));
  if (bytes >= int64_t{1} << 20) return fmt::format("{:.1f} MiB", value / (1 << 20));
  if (bytes >= int64_t{1} << 10) return fmt::format("{:.1f} KiB", value / (1 << 10));
  return fmt::format("{} B", bytes);
}

}  // namespace pal
