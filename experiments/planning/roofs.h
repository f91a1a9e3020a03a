#pragma once
#include <string>

#include "runtime/device.h"
#include "runtime/profiler.h"

namespace pal {

/// The limits of one device as measured: what kernels are compared with.
struct MeasuredRoofs {
  /// Bandwidths in GB/s, read and written bytes counted together, of tensors that take `bytes` in
  /// all.
  struct Level {
    const char* name = "";  ///< "L2", "L3" (the CPU's, of all threads) or "memory"
    int64_t bytes = 0;      ///< that were moved in one go
    int64_t fits = 0;       ///< work of at most so many bytes is compared with this level
    double copy = 0.0;      ///< a = b
    double triad = 0.0;     ///< a = b + s c
    /// The higher of the two bandwidths.
    double best() const { return copy > triad ? copy : triad; }
  };
  std::vector<Level> levels;  ///< from small to large
  double f32 = 0.0;           ///< GFLOP/s of our matrix product; in TF32 if that is on
  double bf16 = 0.0;          ///< the same in bf16; 0 where the device has none
  int threads = 0;            ///< of the CPU
  bool gpu = false;

  /// The level that work of this many bytes is compared with.
  const Level& level(int64_t bytes) const;
  /// The roofs that the profiler compares kernels with; `bf16_run`: whether subnets compute in
  /// bf16.
  Roofs roofs(bool bf16_run) const;
  /// One line: "roofs: 45.1 GB/s memory, ... GFLOP/s f32".
  std::string str() const;
};

/// How long and with what sizes roofs are measured.
struct RoofOptions {
  double seconds = 0.5;      ///< for everything, about
  int64_t memory_bytes = 0;  ///< that the largest level moves in one go; 0: as suits the device
  int64_t product_side = 0;  ///< of the square matrices; 0: as suits the device
};

/// Measures `device` with the threads that are set: each roof is the best of as many readings as
/// there is time for, at least three. Takes 400 MB for that time on the CPU, 800 MB on a GPU.
MeasuredRoofs measure_roofs(Device device, const RoofOptions& options = {});

}  // namespace pal
