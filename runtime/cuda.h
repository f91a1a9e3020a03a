#pragma once
#include <cstdint>
#include <string>

// The CUDA device as the rest of the engine sees it; no CUDA header is needed to include this. In
// a build without the CUDA backend there is no device and everything that needs one throws
// environment. All work of a process goes to one GPU and, in order, to one stream.
namespace pal::cuda {

/// GPUs that this build can use: 0 without the backend, a driver or a GPU new enough.
int device_count();

/// Selects a GPU for the process and makes its stream. Throws environment saying what is missing:
/// the backend, the driver, the GPU, or its compute capability (8.0 at least).
void use(int index);

struct DeviceInfo {
  std::string name;  ///< "NVIDIA H200"
  int major = 0;     ///< compute capability
  int minor = 0;
  int multiprocessors = 0;
  int64_t memory = 0;  ///< bytes
  std::string driver;  ///< "13.0": the newest CUDA that the driver supports
  std::string runtime;
};
/// Of the selected GPU.
DeviceInfo device_info();

/// Waits until the device has done all that was asked of it.
void synchronize();

// Copies in the order of the stream. `rows` rows of `row_bytes`, each `pitch` bytes from the next.
// Copies to the host wait for their end; the others return at once (from pageable host memory: as
// soon as the source may change).
void copy_to_device(void* to, int64_t to_pitch, const void* from, int64_t from_pitch,
                    int64_t row_bytes, int64_t rows);
void copy_to_host(void* to, int64_t to_pitch, const void* from, int64_t from_pitch,
                  int64_t row_bytes, int64_t rows);
void copy_on_device(void* to, int64_t to_pitch, const void* from, int64_t from_pitch,
                    int64_t row_bytes, int64_t rows);
/// Sets `count` elements of `size` bytes (1, 2, 4 or 8), in rows `pitch` elements apart, to the
/// bytes at `value`.
void fill(void* to, int64_t pitch, int64_t columns, int64_t rows, const void* value, int64_t size);

/// Memory of the selected GPU for the allocator; nullptr if there is none left.
void* allocate(int64_t bytes);
void release(void* pointer) noexcept;
/// Page-locked host memory, which the device reads and writes without a detour.
void* allocate_pinned(int64_t bytes);
void release_pinned(void* pointer) noexcept;

/// Copies to page-locked host memory without waiting; an Event tells when it has arrived.
void copy_to_pinned(void* to, const void* from, int64_t bytes);

/// A point in the order of the stream. In a build without CUDA, and before the first record(), it
/// has passed already.
class Event {
 public:
  Event() = default;
  // Trivial only where there is no CUDA.
  ~Event();  // NOLINT(performance-trivially-destructible)
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  /// Everything asked of the device so far comes before the event.
  void record();
  /// Waits until the device has passed it.
  void wait() const;

 private:
  void* event_ = nullptr;
};

/// True if memory comes from the emulator of the tests, which wants to see every single block.
bool emulated();

}  // namespace pal::cuda
