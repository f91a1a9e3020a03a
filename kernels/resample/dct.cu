#include "kernels/resample/dct.h"

#include <algorithm>

#include "kernels/common/items.cuh"
#include "kernels/resample/dct_layout.h"
#include "runtime/profiler.h"

// Both sides of the product of dct_layout.h, in one of three ways by the size of the maps:
//   up to 8 x 8   a thread keeps a whole map in registers; the matrix is a kernel parameter
//   larger        a block keeps the product with the first side in shared memory, [size^2, lanes]
//                 for 32, 16 or 8 channels, whatever fits
//   larger still  two launches, the product with the first side in global memory between them
// Neighbouring threads take neighbouring channels throughout, so that accesses to global memory are
// in order.
namespace pal::cuda {
namespace {

/// The operands of one call: maps of size x size, `channels` of them a sample.
struct Maps {
  const float* in;
  MapLayout in_layout;
  float* out;
  MapLayout out_layout;
  int64_t size;
  int64_t batch;
  int64_t channels;
};

// --- Maps up to 8 x 8: one thread keeps a whole map in registers. -------------------------------

constexpr int kMostRegisterSize = 8;
/// Half the usual block: at up to 128 registers a thread, smaller blocks fill the processor better.
constexpr int kRegisterThreads = 128;

/// The matrix P as a kernel parameter, row by row.
template <int kSize>
struct RegisterMatrix {
  float at[kSize * kSize];
};

template <int kSize>
__global__ void __launch_bounds__(kRegisterThreads)
    dct_register_kernel(const float* in, MapLayout in_layout, float* out, MapLayout out_layout,
                        uint32_t count, Divisor channels, RegisterMatrix<kSize> matrix) {
  for (uint32_t i = first_item(); i < count; i += item_step()) {
    const uint32_t sample = channels.quotient(i);
    const uint32_t channel = i - sample * channels.value();
    const float* from = in + sample * in_layout.sample + channel;
    float half[kSize * kSize];
#pragma unroll
    for (int row = 0; row < kSize; ++row) {
      float values[kSize];
#pragma unroll
      for (int j = 0; j < kSize; ++j) values[j] = from[(row * kSize + j) * in_layout.position];
#pragma unroll
      for (int b = 0; b < kSize; ++b) {
        float sum = 0.0F;
#pragma unroll
        for (int j = 0; j < kSize; ++j) sum += matrix.at[b * kSize + j] * values[j];
        half[row * kSize + b] = sum;
      }
    }
    float* to = out + sample * out_layout.sample + channel;
#pragma unroll
    for (int b = 0; b < kSize; ++b)
#pragma unroll
      for (int a = 0; a < kSize; ++a) {
        float sum = 0.0F;
#pragma unroll
        for (int row = 0; row < kSize; ++row)
          sum += matrix.at[a * kSize + row] * half[row * kSize + b];
        to[(b * kSize + a) * out_layout.position] = sum;
      }
  }
}

template <int kSize>
void run_in_registers(const Maps& maps, const std::vector<double>& matrix) {
  if constexpr (kSize < kMostRegisterSize)
    if (maps.size > kSize) return run_in_registers<kSize + 1>(maps, matrix);
  RegisterMatrix<kSize> typed = {};
  for (size_t i = 0; i < matrix.size(); ++i) typed.at[i] = static_cast<float>(matrix[i]);
  for_each_part(maps.batch, maps.channels, [&](int64_t first, int64_t samples) {
    const int64_t count = samples * maps.channels;
    launch(dct_register_kernel<kSize>, grid_for(count, kRegisterThreads), kRegisterThreads, 0,
           stream(), maps.in + first * maps.in_layout.sample, maps.in_layout,
           maps.out + first * maps.out_layout.sample, maps.out_layout, static_cast<uint32_t>(count),
           Divisor(maps.channels), typed);
  });
}

// --- Larger maps: the two sides of the product one after the other. -----------------------------

/// Neighbouring results of one thread: each value read serves all of them.
constexpr int kRun = 4;

/// The matrix on the device: weights[j * width + b] = P[b][j], rows padded with zeros to `width`, a
/// multiple of kRun.
struct Weights {
  const float* values;
  int size;
  int width;
};

/// out[k * out_step] = sum_j P[first + k][j] in[j * in_step] for up to kRun results.
__device__ inline void multiply_side(const Weights& weights, int first, const float* in,
                                     int64_t in_step, float* out, int64_t out_step) {
  float sum[kRun] = {};
  const float* row = weights.values + first;
  for (int j = 0; j < weights.size; ++j, row += weights.width) {
    const float value = in[j * in_step];
    const Vec<float, kRun> factor = load_vector<kRun>(row);
#pragma unroll
    for (int k = 0; k < kRun; ++k) sum[k] += factor.at[k] * value;
  }
#pragma unroll
  for (int k = 0; k < kRun; ++k)
    if (first + k < weights.size) out[k * out_step] = sum[k];
}

/// A block takes 2^lane_bits channels of a sample and keeps the product with the first side in
/// shared memory. `runs` is what makes a row of results.
__global__ void __launch_bounds__(kThreads, 4)
    dct_shared_kernel(const float* in, MapLayout in_layout, float* out, MapLayout out_layout,
                      uint32_t tasks, Divisor parts, int64_t channels, int lane_bits, Divisor runs,
                      Weights weights) {
  PAL_SHARED_DYNAMIC(float, half);
  const int lanes = 1 << lane_bits;
  const int lane = static_cast<int>(threadIdx.x) & (lanes - 1);
  const int size = weights.size;
  for (uint32_t task = blockIdx.x; task < tasks; task += gridDim.x) {
    const uint32_t sample = parts.quotient(task);
    const int64_t channel = int64_t{task - sample * parts.value()} * lanes + lane;
    const uint32_t items = channel < channels ? static_cast<uint32_t>(size) * runs.value() : 0;
    const float* from = in + sample * in_layout.sample + channel;
    for (uint32_t i = threadIdx.x >> lane_bits; i < items; i += kThreads >> lane_bits) {
      const int row = static_cast<int>(runs.quotient(i));
      const int first = (static_cast<int>(i) - row * static_cast<int>(runs.value())) * kRun;
      multiply_side(weights, first, from + row * size * in_layout.position, in_layout.position,
                    half + (row * size + first) * lanes + lane, lanes);
    }
    __syncthreads();
    float* to = out + sample * out_layout.sample + channel;
    for (uint32_t i = threadIdx.x >> lane_bits; i < items; i += kThreads >> lane_bits) {
      const int b = static_cast<int>(runs.quotient(i));
      const int first = (static_cast<int>(i) - b * static_cast<int>(runs.value())) * kRun;
      multiply_side(weights, first, half + b * lanes + lane, size * lanes,
                    to + (b * size + first) * out_layout.position, out_layout.position);
    }
    __syncthreads();
  }
}

/// How one side's rows lie in memory.
struct SideLayout {
  int64_t row;     ///< elements from one row of a map to the next
  int64_t entry;   ///< elements from one entry of a row to the next
  int64_t sample;  ///< elements from one sample to the next
};

/// Multiplies with one side of the product, from and to global memory.
__global__ void __launch_bounds__(kThreads)
    dct_side_kernel(const float* in, SideLayout in_layout, float* out, SideLayout out_layout,
                    int64_t items, int64_t channels, Weights weights) {
  const int runs = weights.width / kRun;
  for (int64_t i = global_thread(); i < items; i += global_threads()) {
    const int64_t channel = i % channels;
    const int64_t run = i / channels;
    const int first = static_cast<int>(run % runs) * kRun;
    const int64_t row = run / runs % weights.size;
    const int64_t sample = run / runs / weights.size;
    multiply_side(weights, first, in + sample * in_layout.sample + row * in_layout.row + channel,
                  in_layout.entry,
                  out + sample * out_layout.sample + row * out_layout.row +
                      first * out_layout.entry + channel,
                  out_layout.entry);
  }
}

/// Part of a matrix as a kernel parameter: copies from host memory would not survive the capture of
/// a graph.
constexpr int64_t kPartSize = 960;
struct MatrixPart {
  float at[kPartSize];
};

__global__ void __launch_bounds__(kThreads)
    write_part_kernel(float* to, int count, MatrixPart part) {
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) to[i] = part.at[i];
}

/// The matrix on the device, in the layout of Weights.
Tensor upload_weights(const std::vector<double>& matrix, int64_t size, int64_t width,
                      Device device) {
  std::vector<float> values(static_cast<size_t>(size * width));
  for (int64_t b = 0; b < size; ++b)
    for (int64_t j = 0; j < size; ++j)
      values[static_cast<size_t>(j * width + b)] =
          static_cast<float>(matrix[static_cast<size_t>(b * size + j)]);
  const Tensor weights = Tensor::empty({size, width}, DType::f32, Tag::workspace, device);
  for (int64_t first = 0; first < size * width; first += kPartSize) {
    const int64_t count = std::min(kPartSize, size * width - first);
    MatrixPart part = {};
    std::copy_n(values.begin() + first, count, part.at);
    launch(write_part_kernel, 1, kThreads, 0, stream(), weights.data<float>() + first,
           static_cast<int>(count), part);
  }
  return weights;
}

void run_in_two_steps(const Maps& maps, const Weights& weights, Device device) {
  const int64_t size = maps.size;
  const int64_t channels = maps.channels;
  const Tensor half =
      Tensor::empty({maps.batch, size, size, channels}, DType::f32, Tag::workspace, device);
  const int64_t items = maps.batch * size * (weights.width / kRun) * channels;
  const MapLayout& from = maps.in_layout;
  const MapLayout& to = maps.out_layout;
  const int64_t sample = size * size * channels;
  launch(dct_side_kernel, grid_for(items, kThreads), kThreads, 0, stream(), maps.in,
         SideLayout{size * from.position, from.position, from.sample}, half.data<float>(),
         SideLayout{size * channels, channels, sample}, items, channels, weights);
  // The rows of the second side are the columns of what the first one gave.
  launch(dct_side_kernel, grid_for(items, kThreads), kThreads, 0, stream(), half.data<float>(),
         SideLayout{channels, size * channels, sample}, maps.out,
         SideLayout{size * to.position, to.position, to.sample}, items, channels, weights);
}

void run_on_sides(const Maps& maps, const std::vector<double>& matrix, Device device) {
  constexpr int64_t kSharedBytes = 48 * 1024;
  const int64_t width = (maps.size + kRun - 1) / kRun * kRun;
  const Tensor uploaded = upload_weights(matrix, maps.size, width, device);
  const Weights weights{uploaded.data<float>(), static_cast<int>(maps.size),
                        static_cast<int>(width)};
  const int64_t lane_bytes = maps.size * maps.size * static_cast<int64_t>(sizeof(float));
  // Fewer than 8 channels would be less than a memory sector.
  for (const int lane_bits : {5, 4, 3}) {
    const int64_t lanes = int64_t{1} << lane_bits;
    if (lanes * lane_bytes > kSharedBytes) continue;
    const int64_t parts = (maps.channels + lanes - 1) / lanes;
    for_each_part(maps.batch, parts, [&](int64_t first, int64_t samples) {
      const int64_t tasks = samples * parts;
      launch(
          dct_shared_kernel, grid_for(tasks, 1), kThreads, static_cast<size_t>(lanes * lane_bytes),
          stream(), maps.in + first * maps.in_layout.sample, maps.in_layout,
          maps.out + first * maps.out_layout.sample, maps.out_layout, static_cast<uint32_t>(tasks),
          Divisor(parts), maps.channels, lane_bits, Divisor(width / kRun), weights);
    });
    return;
  }
  run_in_two_steps(maps, weights, device);
}

void apply(const char* op, const std::vector<double>& matrix, const Tensor& image,
           const Tensor& vector, bool to_vector) {
  if (image.dtype() != DType::f32)
    fail(ErrorKind::usage, "{}: {} streams are for the CPU backend", op, name_of(image.dtype()));
  const ProfileScope scope(op, image.bytes() + vector.bytes(), dct_operations(image));
  const MapLayout image_side = image_layout(image);
  const MapLayout vector_side = vector_layout(vector, image.channels());
  auto* const pixels = image.data<float>();
  auto* const values = vector.data<float>();
  const Maps maps{to_vector ? pixels : values,
                  to_vector ? image_side : vector_side,
                  to_vector ? values : pixels,
                  to_vector ? vector_side : image_side,
                  image.size(1),
                  image.size(0),
                  image.channels()};
  if (maps.size <= kMostRegisterSize)
    run_in_registers<1>(maps, matrix);
  else
    run_on_sides(maps, matrix, image.device());
}

}  // namespace

void dct_forward(const Tensor& x, const Tensor& y, const DctMap& map) {
  check_dct("dct_forward", x, y);
  apply("dct_forward", dct_matrix(x.size(1), map), x, y, true);
}

void dct_inverse(const Tensor& y, const Tensor& x, const DctMap& map) {
  check_dct("dct_inverse", x, y);
  apply("dct_inverse", dct_inverse_matrix(x.size(1), map), x, y, false);
}

void dct_backward(const Tensor& grad_y, const Tensor& grad_x, const DctMap& map) {
  check_dct("dct_backward", grad_x, grad_y);
  apply("dct_backward", dct_backward_matrix(grad_x.size(1), map), grad_x, grad_y, false);
}

}  // namespace pal::cuda
