#pragma once
#include <cstdint>
#include <functional>
#include <string>

// The CUDA device as the rest of the engine sees it; no CUDA header is needed to include this. In
// a build without the CUDA backend there is no device and everything that needs one throws
// environment. All work of a process goes to one GPU and, in order, to one stream; only uploads
// (StagingRing) and sums over ranks (NcclCommunicator) have streams of their own, so that they run
// beside it.
namespace pal::cuda {

/// Where work is asked for. Work of one stream is done in its order; that of the others is not
/// waited for, but by an Event. Of what waits to begin, communication goes first.
enum class Stream : uint8_t { compute, upload, communication };

/// Number of GPUs that this build can use: 0 without the backend, a driver or a GPU new enough.
int device_count();

/// Selects a GPU for the process and makes its streams. Throws environment saying what is missing:
/// the backend, the driver, the GPU, or its compute capability (8.0 at least).
void use(int index);

/// What is known of a GPU.
struct DeviceInfo {
  std::string name;  ///< "NVIDIA H200"
  int major = 0;     ///< compute capability
  int minor = 0;
  int multiprocessors = 0;
  int64_t memory = 0;   ///< bytes
  std::string driver;   ///< "13.0": the newest CUDA that the driver supports
  std::string runtime;  ///< "12.8": the CUDA that this build was linked with
};
/// Version of the CUDA runtime that is linked in, such as "12.8"; empty without the backend.
std::string runtime_version();
/// The selected GPU; selects the first one if there is none yet.
DeviceInfo device_info();

/// Memory of the selected GPU as its driver counts it: that of all processes, in bytes.
struct DeviceMemory {
  int64_t free = 0;
  int64_t total = 0;
};
DeviceMemory device_memory();

/// Waits until the device has done all that was asked of its stream for computing.
void synchronize();
/// Whether a graph is being recorded, so that nothing is done and nobody may wait.
bool is_capturing();

/// Copies `rows` rows of `row_bytes` bytes, which begin `to_pitch` and `from_pitch` bytes apart,
/// from the host to the device, in the order of the stream. Returns at once (from pageable host
/// memory: as soon as the source may change).
void copy_to_device(void* to, int64_t to_pitch, const void* from, int64_t from_pitch,
                    int64_t row_bytes, int64_t rows);
/// Copies rows as copy_to_device does, from the device to the host; waits until they are there.
void copy_to_host(void* to, int64_t to_pitch, const void* from, int64_t from_pitch,
                  int64_t row_bytes, int64_t rows);
/// Copies rows as copy_to_device does, within the device's memory. Returns at once.
void copy_on_device(void* to, int64_t to_pitch, const void* from, int64_t from_pitch,
                    int64_t row_bytes, int64_t rows);
/// Sets `rows` rows of `columns` elements of `size` bytes (1, 2, 4 or 8), which begin `pitch`
/// elements apart, to the bytes at `value`, in the order of the stream.
void fill(void* to, int64_t pitch, int64_t columns, int64_t rows, const void* value, int64_t size);

/// Memory of the selected GPU, straight from the driver, for the allocator; nullptr if there is
/// none left.
void* allocate(int64_t bytes);
/// Gives memory of allocate() back to the driver.
void release(void* pointer) noexcept;
/// Page-locked host memory, which the device reads and writes without a detour.
void* allocate_pinned(int64_t bytes);
/// Gives memory of allocate_pinned() back; nothing for null.
void release_pinned(void* pointer) noexcept;

/// Copies `bytes` bytes from the device to page-locked host memory without waiting; an Event tells
/// when they have arrived.
void copy_to_pinned(void* to, const void* from, int64_t bytes);

/// Copies `bytes` bytes from page-locked host memory to the device, on the stream for uploads.
/// Returns at once.
void upload(void* to, const void* from, int64_t bytes);

/// A point in the order of a stream. In a build without CUDA, and before the first record(), it
/// has passed already.
class Event {
 public:
  Event() = default;
  // Trivial only where there is no CUDA.
  ~Event();  // NOLINT(performance-trivially-destructible)
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  /// Sets the event behind everything that was asked of that stream so far.
  void record(Stream stream = Stream::compute);
  /// Waits until the device has passed the event.
  void wait() const;
  /// The same, but calls `meanwhile` again and again until then; what it throws ends the wait.
  void wait(const std::function<void()>& meanwhile) const;
  /// Makes what is asked of that stream from here on wait for the event, on the device.
  void hold(Stream stream) const;

 private:
  void* event_ = nullptr;
};

/// The number of the recording of a graph that the stream is in (cuda_graph.h), unique in the
/// process; 0: none.
uint64_t recording_id();

/// Whether memory comes from the emulator of the tests, which wants to see every single block.
bool emulated();

}  // namespace pal::cuda
