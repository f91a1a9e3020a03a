#include "kernels/arrays/reduce.h"
#include "kernels/product/norm_product_backend.h"
#include "kernels/product/normalised_rows.cuh"

// grad_weight += grad_y^T h, with h = relu?(batch norm(x)).
//
// Data flow: the rows are cut into parts; a block computes a tile of 64 x 64 of the gradient over one
// part, 32 rows at a time. As in the forward pass, the next step's operands are in registers while
// this step's are multiplied, and x is normalised between the two. The sum runs over rows, which
// lie one after the other in shared memory: fragments are read transposed.
// Memory: the gradients of all parts, f32 [parts, out, in], which are then added in double.
namespace pal::cuda {
namespace {

constexpr int kGradientThreads = 128;
/// Rows and columns of a tile of the gradient.
constexpr int kSide = 64;
/// Rows of a step.
constexpr int kStepRows = 32;
/// Elements from one row of operands to the next: fragments are read without bank conflicts.
constexpr int kSidePitch = kSide + 8;
constexpr int kGroupsOfSide = kSide / kGroup;
/// Rows that the threads of a block move at a time.
constexpr int kStepRowsAtOnce = kGradientThreads / kGroupsOfSide;
/// Work items that keep a device busy, and rows of a part at least.
constexpr int64_t kGradientItems = 528;
constexpr int64_t kFewestRows = 256;
/// Most parts: their sums are read once more.
constexpr int64_t kMostParts = 256;

template <typename X>
struct Gradient {
  NormalisedRows<X> x;
  const bfloat16* grad_y;  ///< [rows][out]
  int out;
  int tiles_down;    ///< along out
  int tiles_across;  ///< along in
  int64_t part_rows;
  int64_t items;   ///< parts times tiles
  float* partial;  ///< [parts][out][in]
};

/// The numbers of the eight channels from `channel` on.
struct GroupAffine {
  QuadAffine half[2];
};

template <typename X>
__device__ GroupAffine load_affine(const NormalisedRows<X>& x, int channel) {
  GroupAffine affine = {};
  if (channel >= x.channels) return affine;
#pragma unroll
  for (int k = 0; k < kGroup; ++k) {
    affine.half[k / 4].mean.at[k % 4] = x.mean[channel + k];
    affine.half[k / 4].slope.at[k % 4] = x.inv_std[channel + k] * x.weight[channel + k];
    affine.half[k / 4].bias.at[k % 4] = x.bias[channel + k];
  }
  return affine;
}

/// One step's operands of a thread, between global and shared memory.
template <typename X>
struct RowsInFlight {
  static constexpr int kTurns = kStepRows / kStepRowsAtOnce;

  /// Reads rows from `first` to `last`, of those its own.
  __device__ void load(const Gradient<X>& p, int64_t first, int64_t last, int grad_channel,
                       int channel) {
    const int64_t row = first + static_cast<int>(threadIdx.x) / kGroupsOfSide;
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
      const int64_t at = row + i * kStepRowsAtOnce;
      const bool inside = at < last;
      grad_y[i] = inside && grad_channel < p.out ? load_group(p.grad_y + at * p.out + grad_channel)
                                                 : GroupOf<bfloat16>{};
      x[i] = inside ? p.x.load(at, channel) : GroupOf<X>{};
    }
  }

  /// Writes grad_y [kStepRows][kSidePitch] and h behind it. Beyond the last row grad_y is
  /// zero, so that whatever h is there counts for nothing.
  __device__ void store(const GroupAffine& affine, float floor, bfloat16* tile) const {
    const int thread = static_cast<int>(threadIdx.x);
    bfloat16* to = tile + thread / kGroupsOfSide * kSidePitch + thread % kGroupsOfSide * kGroup;
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
      store_group(to + i * kStepRowsAtOnce * kSidePitch, words_of(grad_y[i]));
      const uint2 low = normalised_words<0>(x[i], affine.half[0], floor);
      const uint2 high = normalised_words<4>(x[i], affine.half[1], floor);
      store_group(to + (kStepRows + i * kStepRowsAtOnce) * kSidePitch,
                  make_uint4(low.x, low.y, high.x, high.y));
    }
  }

  GroupOf<bfloat16> grad_y[kTurns];
  GroupOf<X> x[kTurns];
};

/// A warp's quarter of a tile: 32 x 32.
struct WarpQuarter {
  Accumulator sums[2][4];

  __device__ static int first_row() { return static_cast<int>(threadIdx.x) / 64 * (kSide / 2); }
  __device__ static int first_column() {
    return static_cast<int>(threadIdx.x) / 32 % 2 * (kSide / 2);
  }

  /// Adds the products of one step's operands.
  __device__ void add(const bfloat16* tile) {
    const bfloat16* left = tile + first_row();
    const bfloat16* right = tile + kStepRows * kSidePitch + first_column();
#pragma unroll
    for (int k = 0; k < kStepRows * kSidePitch; k += 16 * kSidePitch) {
      Fragment a[2];
#pragma unroll
      for (int i = 0; i < 2; ++i) a[i] = load_fragment<true>(left + k + 16 * i, kSidePitch);
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const Fragment b = load_fragment<true>(right + k + 16 * j, kSidePitch);
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          multiply_add<0>(sums[i][2 * j], a[i], b);
          multiply_add<1>(sums[i][2 * j + 1], a[i], b);
        }
      }
    }
  }

  /// Writes the tile's part at row `row` and column `column` of a gradient [rows][columns].
  __device__ void store(float* gradient, int rows, int columns, int row, int column) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    row += first_row() + lane / 4;
    column += first_column() + 2 * (lane % 4);
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int at = row + 16 * i + 8 * half;
        if (at >= rows) continue;
#pragma unroll
        for (int j = 0; j < 4; ++j)
          if (column + 8 * j < columns)
            *reinterpret_cast<float2*>(gradient + static_cast<int64_t>(at) * columns + column +
                                       8 * j) =
                make_float2(sums[i][j].at[2 * half], sums[i][j].at[2 * half + 1]);
      }
  }
};

template <typename X>
__global__ void __launch_bounds__(kGradientThreads) norm_product_gradient_kernel(Gradient<X> p) {
  constexpr int kTile = 2 * kStepRows * kSidePitch;
  PAL_SHARED(uint4, memory, 2 * kTile / kGroup);
  auto* tiles = reinterpret_cast<bfloat16*>(memory);
  const int group = static_cast<int>(threadIdx.x) % kGroupsOfSide * kGroup;
  for (int64_t item = blockIdx.x; item < p.items; item += gridDim.x) {
    const int64_t part = item / (p.tiles_down * p.tiles_across);
    const int tile = static_cast<int>(item - part * p.tiles_down * p.tiles_across);
    const int row = tile / p.tiles_across * kSide;
    const int column = tile % p.tiles_across * kSide;
    const int64_t begin = part * p.part_rows;
    const int64_t end = begin + p.part_rows < p.x.rows ? begin + p.part_rows : p.x.rows;
    const auto steps = static_cast<int>((end - begin + kStepRows - 1) / kStepRows);
    const GroupAffine affine = load_affine(p.x, column + group);
    WarpQuarter warp;
    RowsInFlight<X> next;
    next.load(p, begin, end, row + group, column + group);
    next.store(affine, p.x.floor, tiles);
    __syncthreads();
    for (int step = 0; step < steps; ++step) {
      const bool more = step + 1 < steps;
      if (more) next.load(p, begin + (step + 1) * kStepRows, end, row + group, column + group);
      warp.add(tiles + step % 2 * kTile);
      if (more) next.store(affine, p.x.floor, tiles + (step + 1) % 2 * kTile);
      __syncthreads();
    }
    warp.store(p.partial + part * p.out * p.x.channels, p.out, p.x.channels, row, column);
  }
}

template <typename X>
void gradient(const Tensor& x, const BatchNormArgs& norm, bool relu, const Tensor& grad_y,
              const Tensor& grad_weight) {
  const int64_t rows = x.rows();
  const int64_t tiles_down = (grad_y.channels() + kSide - 1) / kSide;
  const int64_t tiles_across = (x.channels() + kSide - 1) / kSide;
  const int64_t wanted =
      std::clamp<int64_t>(kGradientItems / (tiles_down * tiles_across), 1, kMostParts);
  const int64_t part_rows = std::max(kFewestRows, (rows + wanted - 1) / wanted);
  const int64_t parts = (rows + part_rows - 1) / part_rows;
  const Tensor partial =
      Tensor::empty({parts, grad_weight.numel()}, DType::f32, Tag::workspace, x.device());
  const Gradient<X> p = {normalised_rows<X>(x, norm, relu),   grad_y.data<bfloat16>(),
                         static_cast<int>(grad_y.channels()), static_cast<int>(tiles_down),
                         static_cast<int>(tiles_across),      part_rows,
                         parts * tiles_down * tiles_across,   partial.data<float>()};
  launch(norm_product_gradient_kernel<X>, grid_for(p.items, 1), kGradientThreads, 0, stream(), p);
  channel_sums(partial, grad_weight.reshape({grad_weight.numel()}));
}

}  // namespace

void norm_product_gradient(const Tensor& x, const BatchNormArgs& norm, bool relu,
                           const Tensor& grad_y, const Tensor& grad_weight) {
  if (x.dtype() == DType::bf16)
    gradient<bfloat16>(x, norm, relu, grad_y, grad_weight);
  else
    gradient<float>(x, norm, relu, grad_y, grad_weight);
}

}  // namespace pal::cuda
