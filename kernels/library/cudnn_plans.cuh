#pragma once
// From a convolution to the plans by which cuDNN can compute it.
#include <functional>
#include <optional>

#include "kernels/library/conv.h"
#include "kernels/library/cudnn_graph.cuh"

namespace pal::cudnn {

/// cuDNN's pointers must be aligned to this; its fast engines read 16 bytes at a time.
inline constexpr int64_t kAlignment = 16;
/// Most scratch memory of a convolution on a GPU with that much memory, both in bytes.
constexpr int64_t most_workspace(int64_t device_memory) {
  return (device_memory >= int64_t{64} << 30 ? int64_t{1024} : int64_t{256}) << 20;
}

/// Which result of a convolution is computed: y, the gradient of x, or that of the weights.
enum class Pass : int64_t { forward, backward_data, backward_weight };

/// A convolution to be computed: all that the choice of an engine depends on, but the device.
struct Problem {
  Pass pass = Pass::forward;
  Shape x, y;  ///< [n, h, w, channels]
  ConvGeometry geometry;
  DType dtype = DType::f32;   ///< of what is read
  DType result = DType::f32;  ///< of what is written
  bool tf32 = false;
  bool allow_nondeterministic = false;

  /// The problem as numbers, for a PlanCache.
  std::vector<int64_t> key() const;
  /// The problem as text: "conv_forward f32 [8, 56, 56, 64] k3 s1 p1 64->64".
  std::string text() const;
};

/// A way to compute a problem: one of cuDNN's engines with its settings, ready to be executed.
struct Plan {
  Descriptor descriptor;
  int64_t workspace = 0;  ///< scratch memory, bytes
  std::string engine;     ///< "engine 67 2=5 13=0": its number and its settings

  const std::string& name() const { return engine; }
};

/// For what GPU plans are made: that of a handle, or one that is only described (cuDNN 9.8).
struct Target {
  cudnnHandle_t handle = nullptr;
  const Descriptor* device = nullptr;
  int64_t most_workspace = 0;  ///< scratch memory that a plan may want, bytes
};

/// Makes a problem's plans, one after the other in the order of the library's estimates, without
/// engines that compute less exactly than the problem says or, if not allowed, in no fixed order,
/// and hands each to `visit` until that returns true. With a name in `only`, those called so: one
/// plan, or for an engine's number without settings all of that engine. If there is none, `why`
/// says what was wrong with the last.
void each_plan(const Problem& problem, const Target& target, const std::optional<std::string>& only,
               std::string* why, const std::function<bool(Plan)>& visit);

/// How many of a problem's images are to be computed at a time. Less than all if the engine
/// proposed first would need too much scratch memory for that: fewer at a time by a good engine are
/// faster than all by a frugal one.
int64_t images_at_a_time(const Problem& problem, const Target& target);
/// The same problem with `count` images.
Problem with_images(const Problem& problem, int64_t count);

/// By which numbers a plan knows its tensors.
inline constexpr int64_t kX = 1;
inline constexpr int64_t kWeight = 2;
inline constexpr int64_t kY = 3;

}  // namespace pal::cudnn
