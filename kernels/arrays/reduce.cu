#include "kernels/arrays/reduce.h"

#include "kernels/arrays/elementwise_map.cuh"
#include "kernels/arrays/reduce_check.h"
#include "kernels/arrays/reduce_launch.cuh"
#include "kernels/arrays/reduce_math.h"
#include "kernels/common/gpu_dtypes.h"
#include "runtime/profiler.h"

namespace pal::cuda {
namespace {

/// Elements that a thread reads in one access.
constexpr int kQuad = 4;
/// Accesses of a thread in a turn, all under way at once.
constexpr int kQuads = 4;
/// Elements of a block's turn.
constexpr int64_t kTurn = int64_t{kThreads} * kQuad * kQuads;
/// Most partial sums of a tensor, if it has that many elements.
constexpr int64_t kParts = 2048;

/// What a thread reads in a turn.
template <typename T>
struct Batch {
  Vec<T, kQuad> quads[kQuads];
};

template <bool kAligned, typename T>
__device__ inline Vec<T, kQuad> load_quad(const T* from) {
  if constexpr (kAligned) return load_vector<kQuad>(from);
  return {from[0], from[1], from[2], from[3]};
}

/// What a thread reads of a row in the turn that begins at its element `at`; elements from `end` on
/// are zeros. Which ones a thread gets does not depend on how they are aligned, so sums do not
/// either.
template <bool kAligned, typename T>
__device__ inline Batch<T> load_batch(const T* row, int64_t at, int64_t end) {
  Batch<T> batch;
  constexpr int64_t kStride = int64_t{kThreads} * kQuad;
  const T* from = row + at;
  if (at + (kQuads - 1) * kStride + kQuad <= end) {
#pragma unroll
    for (int i = 0; i < kQuads; ++i) batch.quads[i] = load_quad<kAligned>(from + i * kStride);
  } else {
    const int64_t left = end - at;
#pragma unroll
    for (int i = 0; i < kQuads * kQuad; ++i) {
      const int64_t offset = i / kQuad * kStride + i % kQuad;
      batch.quads[i / kQuad].at[i % kQuad] = offset < left ? from[offset] : T(0.0F);
    }
  }
  return batch;
}

template <typename T>
__device__ inline double widened(T value) {
  return static_cast<double>(static_cast<float>(value));
}

/// How rows are cut into partial sums: a function of the shape alone.
struct Cut {
  int64_t rows;
  int64_t width;
  int64_t pitch;
  int64_t chunk;  ///< elements of a partial sum
  int64_t parts;  ///< partial sums of a row

  Cut(int64_t row_count, int64_t row_width, int64_t row_pitch)
      : rows(row_count), width(row_width), pitch(row_pitch) {
    const int64_t turns = (rows * width + kParts * kTurn - 1) / (kParts * kTurn);
    chunk = std::max<int64_t>(1, turns) * kTurn;
    parts = (width + chunk - 1) / chunk;
  }
};

/// Overwrites `partial` with the partial sums of a^2, or with kDifference of (a - b)^2 and, behind
/// all of those, of a^2.
template <typename T, bool kDifference, bool kAligned>
__global__ void __launch_bounds__(kThreads)
    squares_kernel(const T* a, const T* b, Cut cut, double* partial) {
  const int64_t tasks = cut.rows * cut.parts;
  for (int64_t task = blockIdx.x; task < tasks; task += gridDim.x) {
    const int64_t row = task / cut.parts;
    const int64_t begin = (task - row * cut.parts) * cut.chunk;
    const int64_t end = begin + cut.chunk < cut.width ? begin + cut.chunk : cut.width;
    const T* left = a + row * cut.pitch;
    const T* right = kDifference ? b + row * cut.pitch : nullptr;
    double squares = 0.0;
    double differences = 0.0;
    for (int64_t turn = begin + threadIdx.x * kQuad; turn < end; turn += kTurn) {
      const Batch<T> values = load_batch<kAligned>(left, turn, end);
      Batch<T> others;
      if constexpr (kDifference) others = load_batch<kAligned>(right, turn, end);
#pragma unroll
      for (int i = 0; i < kQuads * kQuad; ++i) {
        const double value = widened(values.quads[i / kQuad].at[i % kQuad]);
        squares += value * value;
        if constexpr (kDifference) {
          const double difference = value - widened(others.quads[i / kQuad].at[i % kQuad]);
          differences += difference * difference;
        }
      }
    }
    squares = block_sum<kThreads>(squares);
    if constexpr (kDifference) {
      differences = block_sum<kThreads>(differences);
      if (threadIdx.x == 0) partial[task] = differences;
    }
    if (threadIdx.x == 0) partial[(kDifference ? tasks : 0) + task] = squares;
  }
}

__global__ void __launch_bounds__(kThreads)
    sum_parts_kernel(const double* partial, int64_t rows, int64_t parts, double factor,
                     double* sums) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    double sum = 0.0;
#pragma unroll 4
    for (int64_t i = threadIdx.x; i < parts; i += kThreads) sum += partial[row * parts + i];
    sum = block_sum<kThreads>(sum);
    if (threadIdx.x == 0) sums[row] = factor * sum;
  }
}

Tensor partials(int64_t count, const Tensor& like) {
  return Tensor::empty({count}, DType::f64, Tag::workspace, like.device());
}

/// The partial sums that squares_kernel writes, f64; b is not read without kDifference.
template <typename T, bool kDifference>
Tensor partial_squares(const Tensor& a, const Tensor& b, const Cut& cut) {
  const int64_t tasks = cut.rows * cut.parts;
  const Tensor partial = partials((kDifference ? 2 : 1) * tasks, a);
  const auto aligned = [&](const Tensor& t) {
    return misalignment<kQuad>(t) == 0 && (cut.rows == 1 || cut.pitch % kQuad == 0);
  };
  const auto kernel = aligned(a) && (!kDifference || aligned(b))
                          ? squares_kernel<T, kDifference, true>
                          : squares_kernel<T, kDifference, false>;
  launch(kernel, grid_for(tasks, 1), kThreads, 0, stream(), a.data<T>(),
         kDifference ? b.data<T>() : nullptr, cut, partial.data<double>());
  return partial;
}

template <typename T>
struct FindBroken {
  Matrix<const T> x;
  int* found;

  template <int kWidth>
  __device__ void run(int64_t row, int64_t column) const {
    const auto values = x.template load<kWidth>(row, column);
    bool broken = false;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) broken = broken || reduce_math::is_broken(values.at[k]);
    if (broken) atomicOr(found, 1);
  }
};

}  // namespace

void sum_parts(const Tensor& partial, int64_t rows, int64_t parts, double factor, double* sums) {
  launch(sum_parts_kernel, grid_for(rows, 1), kThreads, 0, stream(), partial.data<double>(), rows,
         parts, factor, sums);
}

void squared_norm(const Tensor& x, const Tensor& sum) {
  check_squared_norm(sum);
  const ProfileScope scope("squared_norm", x.bytes(), 2 * x.numel());
  if (x.numel() == 0) return sum.zero();
  dispatch_gpu("squared_norm", x.dtype(), [&](auto typed) {
    const Tensor values = x.dense();
    const Cut cut(1, x.numel(), x.numel());
    sum_parts(partial_squares<decltype(typed), false>(values, {}, cut), 1, cut.parts, 1.0,
              sum.data<double>());
  });
}

void squared_difference(const Tensor& a, const Tensor& b, const Tensor& sums) {
  check_squared_difference(a, b, sums);
  expect_gpu_stream("squared_difference", a.dtype());
  const ProfileScope scope("squared_difference", a.bytes() + b.bytes(), 5 * a.numel());
  if (a.numel() == 0) return sums.zero();
  const Tensor left = a.dense();
  const Tensor right = b.dense();
  const Cut cut(1, a.numel(), a.numel());
  sum_parts(partial_squares<float, true>(left, right, cut), 2, cut.parts, 1.0, sums.data<double>());
}

void half_squared_norm(const Tensor& z, const Tensor& norms) {
  check_half_squared_norm(z, norms);
  const ProfileScope scope("half_squared_norm", z.bytes(), 2 * z.numel());
  dispatch_gpu("half_squared_norm", z.dtype(), [&](auto typed) {
    const Cut cut(z.rows(), z.channels(), z.pitch());
    sum_parts(partial_squares<decltype(typed), false>(z, {}, cut), cut.rows, cut.parts, 0.5,
              norms.data<double>());
  });
}

bool all_finite(const Tensor& x) {
  const ProfileScope scope("all_finite", x.bytes(), x.numel());
  const Tensor found = Tensor::zeros({1}, DType::i32, Tag::workspace, x.device());
  dispatch_floating("all_finite", x.dtype(), [&](auto typed) {
    using T = decltype(typed);
    map_elements<kVectorWidth<T>>(FindBroken<T>{Matrix<const T>(x), found.data<int32_t>()}, {&x});
  });
  return found.to(Device()).data<int32_t>()[0] == 0;
}

}  // namespace pal::cuda
