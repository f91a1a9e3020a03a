#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace pal {

/// A library's plans by key: made once, looked up afterwards, kept to the end of the process. The
/// tensors' values never enter a key. Thread-safe.
template <typename Plan>
class PlanCache {
 public:
  using Key = std::vector<int64_t>;

  /// The plan of a key, made by `make` if it is new.
  template <typename Make>
  const Plan& get(const Key& key, Make&& make) {
    const std::lock_guard lock(mutex_);
    const auto found = plans_.find(key);
    if (found != plans_.end()) return found->second;
    return plans_.emplace(key, make()).first->second;
  }

  /// The plan of a key; null if there is none yet.
  const Plan* find(const Key& key) {
    const std::lock_guard lock(mutex_);
    const auto found = plans_.find(key);
    return found == plans_.end() ? nullptr : &found->second;
  }
  /// Keeps a plan under a key that has none yet; returns the one that is kept there.
  const Plan& keep(const Key& key, Plan plan) {
    const std::lock_guard lock(mutex_);
    return plans_.emplace(key, std::move(plan)).first->second;
  }

 private:
  std::mutex mutex_;
  std::map<Key, Plan> plans_;
};

}  // namespace pal
