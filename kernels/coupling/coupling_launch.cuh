#pragma once
#include <initializer_list>
#include <type_traits>

#include "kernels/common/gpu_dtypes.h"
#include "kernels/coupling/coupling_check.h"
#include "kernels/coupling/coupling_tile.cuh"

// How the host lays out a call of the CUDA coupling kernels, and the launches that finish its sums.
namespace pal::cuda::coupling {

/// Most values of y in a tile: some sixteen per thread.
constexpr int64_t kTileValues = 4096;
/// Shared memory that a block gets without asking the driver, in floats.
constexpr int64_t kSharedFloats = 48 * 1024 / 4;

/// The halves of an image, from their channels or from the factors and y's channels.
Halves halves_of(int64_t samples, int64_t pixels, int64_t active, int64_t passive,
                 bool active_first);
inline Halves halves_of(const Tensor& factors, int64_t channels, bool active_first) {
  const int64_t half = factors.channels() / 2;
  return halves_of(factors.size(0), factors.rows() / factors.size(0), half, channels - half,
                   active_first);
}

/// The tensors' memory; those that are defined must be on the GPU.
MapPointers pointers_of(const OutputMap& map);
Gains gains_of(const CouplingGains& gains);

/// A tensor's rows; throws usage unless it is defined and of type T.
template <typename T>
Rows<T> rows_of(const Tensor& tensor) {
  return {tensor.data<std::remove_const_t<T>>(), tensor.pitch()};
}

/// s and t of the factors, or of their gradient.
inline Tensor s_of(const Tensor& factors) {
  return factors.slice_channels(0, factors.channels() / 2);
}
inline Tensor t_of(const Tensor& factors) {
  return factors.slice_channels(factors.channels() / 2, factors.channels() / 2);
}

/// How a call is cut into tiles and its threads are laid out over one.
struct Layout {
  /// `whole`: y and its gradient; `halves`: the other tensors, of one half's channels each.
  /// Undefined tensors do not matter.
  Layout(const Halves& image, const OutputMap& map, std::initializer_list<Tensor> whole,
         std::initializer_list<Tensor> halves);

  Geometry geometry;
  /// Channels of an item: the widest accesses, 4, 2 or 1 elements, that suit all tensors.
  int width = 4;
  /// Threads of a block: as many as share the larger half of a tile evenly.
  int threads = kThreads;
};

/// Memory for put_warp_sum: f64 [tiles x warps], not initialised.
Tensor warp_sums(const Layout& layout, Device device);
/// sums[n] = (add ? sums[n] : 0) + factor * the sum of the sample's part of `partial`, which
/// warp_sums made, + the pixels of a sample * per_pixel, f64 [1], if that is defined. One launch.
void finish_sample_sums(const Tensor& partial, const Geometry& geometry, double factor, bool add,
                        const Tensor& sums, const Tensor& per_pixel = {});
/// Adds the column sums of partial, f32 [groups, 2 c + 2 ca], to grads' offset, scale and
/// factor_sums, as far as they are defined. One launch.
void finish_channel_sums(const Tensor& partial, int64_t channels, const CouplingGrads& grads);

/// Launches a kernel that shares `items`, tiles or groups of them, among its blocks.
template <typename Kernel, typename... Arguments>
void launch_blocks(Kernel* kernel, int64_t items, const Layout& layout, int64_t shared_floats,
                   const Arguments&... arguments) {
  if (items == 0) return;
  launch(kernel, grid_for(items, 1), static_cast<unsigned>(layout.threads),
         static_cast<size_t>(shared_floats) * sizeof(float), stream(), arguments...);
}

/// Calls body with the width 4, 2 or 1 as an integral_constant.
template <typename Body>
void dispatch_width(int width, Body&& body) {
  if (width == 4) return body(std::integral_constant<int, 4>{});
  if (width == 2) return body(std::integral_constant<int, 2>{});
  return body(std::integral_constant<int, 1>{});
}

/// Calls body with the value as true_type or false_type.
template <typename Body>
void dispatch_bool(bool value, Body&& body) {
  if (value) return body(std::true_type{});
  return body(std::false_type{});
}

/// Throws usage for streams of other dtypes than f32.
inline void expect_stream(const char* op, DType stream) {
  refuse_f64(op, stream);
  expect(stream == DType::f32, "{}: expected f32, got {}", op, name_of(stream));
}

/// Calls body(F{}) with the type of the factors; throws usage for a pair that has no kernel.
template <typename Body>
void dispatch_subnet(const char* op, DType stream, DType factors, Body&& body) {
  refuse_f64(op, stream);
  if (stream == DType::f32 && factors == DType::f32) return body(float{});
  if (stream == DType::f32 && factors == DType::bf16) return body(bfloat16{});
  pal::coupling::fail_pair(op, stream, factors);
}

}  // namespace pal::cuda::coupling
