#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <string>

#include "runtime/device.h"

namespace pal {

/// What a piece of memory is for. Every allocation carries one; peaks are known per tag.
enum class Tag : uint8_t {
  parameters,
  gradients,
  optimizer,
  stream,      ///< activations between invertible blocks
  subnet,      ///< activations inside subnets, kept for or made by a backward pass
  workspace,   ///< scratch of kernels and libraries
  statistics,  ///< batch-norm means and inverse deviations
  anchors,     ///< stream tensors kept on purpose to reset the inversion drift
  data,        ///< datasets and batches
  count_,
};

inline constexpr int kTagCount = static_cast<int>(Tag::count_);
/// The tag as tables and messages name it: "parameters".
const char* name_of(Tag tag);

/// Bytes in use and their highest value since the last reset, per tag and over all tags.
struct MemoryStats {
  std::array<int64_t, kTagCount> current{};
  std::array<int64_t, kTagCount> peak{};
  int64_t current_total = 0;
  int64_t peak_total = 0;
  /// Highest simultaneous sum of stream + subnet + workspace: the activation memory of a step.
  int64_t peak_activations = 0;
  /// Bytes of all blocks that are held from the system, in use or kept for later, and their peak.
  int64_t reserved = 0;
  int64_t peak_reserved = 0;

  int64_t peak_of(Tag tag) const { return peak[static_cast<size_t>(tag)]; }
  int64_t current_of(Tag tag) const { return current[static_cast<size_t>(tag)]; }
  /// One line for people: bytes in use and their peak for every tag that was used.
  std::string table() const;
};

/// Caching allocator of one device's memory: blocks are kept on release for the next request of
/// about the same size. On a GPU that is safe at once: all work on them is of one stream, in order;
/// where another one writes, blocks are handed over by events (StagingRing, NcclCommunicator). If
/// the system has no more to give, what is kept goes back to it: the cache, then what pools do not
/// need, then what recordings kept. Host blocks are 64-byte aligned, a GPU's 256. Thread-safe.
/// Counts the bytes asked for (rounded to 64), not the cache.
class Allocator {
 public:
  /// The allocator of the host's memory.
  static Allocator& cpu();
  /// The allocator of a device's memory: the CPU's, that of the GPU in use, or for meta devices one
  /// that gives no memory and only counts.
  static Allocator& of(Device device);

  /// Uninitialised memory of at least `bytes` bytes. Throws environment, with the bytes in use by
  /// tag and those that are held, when the limit would be exceeded or memory is out.
  void* allocate(int64_t bytes, Tag tag);
  /// Takes back what allocate gave; nothing for null.
  void release(void* pointer) noexcept;

  /// Hard limit on the bytes in use over all tags; 0 means none.
  void set_limit(int64_t bytes);
  /// Bytes in use and peaks as they are now.
  MemoryStats stats() const;
  /// Sets every peak to the current value.
  void reset_peaks();
  /// Gives cached blocks back to the system.
  void trim();
  /// Whether a PoolScope lives.
  bool pooled() const;

  /// Blocks set apart: while a PoolScope of it lives, requests of all threads are served from it.
  /// A captured CUDA graph writes to the addresses it was captured with, so its step's memory must
  /// go to nobody else; whatever runs between its launches inside a PoolScope may share it, if it
  /// keeps nothing. Free blocks go back to the system with the pool.
  class Pool {
   public:
    /// `forget` is called when memory is short outside the pool's scopes: it has to make what was
    /// recorded in a RecordingScope useless, so that the blocks may go; it may not allocate or
    /// release memory. Without one they stay.
    explicit Pool(Device device, std::function<void()> forget = {});
    ~Pool();
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;
    /// Bytes of all the pool's blocks, in use or not.
    int64_t reserved() const;
    /// What was recorded is used no more.
    void drop_recording();
    /// Gives blocks that are neither in use nor recorded back to the driver.
    void trim();

   private:
    friend class Allocator;
    friend class PoolScope;
    friend class RecordingScope;
    struct Blocks;
    Allocator& allocator_;
    Blocks* blocks_;
  };
  /// While it lives, requests to the pool's allocator are served from the pool; scopes nest.
  class PoolScope {
   public:
    explicit PoolScope(Pool& pool);
    ~PoolScope();
    PoolScope(const PoolScope&) = delete;
    PoolScope& operator=(const PoolScope&) = delete;

   private:
    Pool& pool_;
    Pool::Blocks* previous_;
  };
  /// While it lives, every block that the pool gives belongs to a recording: such blocks stay where
  /// they are, free or not, until Pool::drop_recording.
  class RecordingScope {
   public:
    explicit RecordingScope(Pool& pool);
    ~RecordingScope();
    RecordingScope(const RecordingScope&) = delete;
    RecordingScope& operator=(const RecordingScope&) = delete;

   private:
    Pool& pool_;
  };

  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

 private:
  struct Source;
  explicit Allocator(const Source& source);
  ~Allocator();
  struct State;
  State* state_;
};

/// Tensors made without an explicit tag take the innermost scope's tag on this thread (default:
/// workspace).
class TagScope {
 public:
  explicit TagScope(Tag tag);
  ~TagScope();
  TagScope(const TagScope&) = delete;
  TagScope& operator=(const TagScope&) = delete;
  /// The tag of the innermost scope on this thread.
  static Tag current();

 private:
  Tag previous_;
};

}  // namespace pal
