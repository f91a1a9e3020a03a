#include "kernels/library/weight_product.h"

#include <cstring>

#include "kernels/common/block_product.h"
#include "kernels/library/platform.h"
#include "runtime/parallel.h"

// Pixels are done in chunks. A chunk's x and gradient are copied to where the blocks of the product read
// them one after another; then each block of the gradient is made by one thread, so that its sum has
// one order, whatever the threads.
namespace pal::cpu {
namespace {

/// Of x and the gradient of y, copied.
constexpr int64_t kChunkFloats = 1 << 20;
constexpr int64_t kFewestRows = 128;
/// The sums of chunks are added up: long sums in one go would lose more.
constexpr int64_t kMostRows = 512;

/// Channels of y that lie side by side in the copy: several blocks, so that long pieces are copied.
constexpr int64_t kGroup = 4 * kBlockRows;

struct Parts {
  Parts(int64_t rows, int64_t in, int64_t out)
      : panels(block_count(in)),
        groups((out + kGroup - 1) / kGroup),
        chunk(std::min(rows, std::clamp(kChunkFloats / (in + out), kFewestRows, kMostRows))) {}

  // Not powers of two, as rows that are copied to all groups would meet in a few sets of a cache.
  int64_t panel_floats() const { return chunk * kBlockColumns + 16; }
  int64_t group_floats() const { return chunk * kGroup + 16; }
  int64_t floats() const { return panels * panel_floats() + groups * group_floats(); }

  int64_t panels;  ///< of kBlockColumns channels of x
  int64_t groups;  ///< of kGroup channels of y
  int64_t chunk;   ///< pixels, but for the last one
};

/// Copies the columns of rows in groups of kWidth: [group][row][column of it], the last group filled up
/// with zeros.
template <int64_t kWidth>
void pack(const float* from, int64_t width, int64_t row, int64_t group_floats, float* to) {
  from += row * width;
  to += row * kWidth;
  int64_t i = 0;
  for (; i + kWidth <= width; i += kWidth, to += group_floats)
    std::memcpy(to, from + i, kWidth * sizeof(float));
  if (i == width) return;
  for (int64_t j = 0; j < kWidth; ++j) to[j] = i + j < width ? from[i + j] : 0.0F;
}

/// Adds a block of the product, or what of it lies within `rows` and `columns`.
void add_block(Strided left, const float* right, int64_t depth, int64_t rows, int64_t columns,
               float* to, int64_t pitch) {
  if (rows == kBlockRows && columns == kBlockColumns)
    return multiply_block<kBlockRows, true>(left, right, depth, to, pitch);
  float block[kBlockRows * kBlockColumns];
  multiply_block<kBlockRows, false>(left, right, depth, block, kBlockColumns);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) to[i * pitch + j] += block[i * kBlockColumns + j];
}

}  // namespace

bool weight_product_pays(const Tensor& x, const Tensor& grad_y) {
  // On AVX-512 the library's reach nine tenths of the processor's rate.
  static const bool wanted = kVectorBytes < 64 && loops_have_library_width();
  return wanted && x.dtype() == DType::f32 && std::min(x.channels(), grad_y.channels()) >= 48 &&
         x.channels() * grad_y.channels() >= 8192;
}

int64_t weight_product_scratch(int64_t rows, int64_t in, int64_t out) {
  return Parts(rows, in, out).floats() * int64_t{sizeof(float)};
}

void weight_product(const Tensor& x, const Tensor& grad_y, const Tensor& grad_weight) {
  const int64_t in = x.channels();
  const int64_t out = grad_y.channels();
  const Parts parts(x.rows(), in, out);
  const Tensor scratch = Tensor::empty({parts.floats()}, DType::f32, Tag::workspace, Device());
  float* const sums = grad_weight.data<float>();
  float* const inputs = scratch.data<float>();
  float* const gradients = inputs + parts.panels * parts.panel_floats();
  for (int64_t first = 0; first < x.rows(); first += parts.chunk) {
    const int64_t count = std::min(parts.chunk, x.rows() - first);
    const float* const from_x = x.data<float>() + first * in;
    const float* const from_y = grad_y.data<float>() + first * out;
    parallel_for(count, row_grain(in + out), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        pack<kBlockColumns>(from_x, in, row, parts.panel_floats(), inputs);
        pack<kGroup>(from_y, out, row, parts.group_floats(), gradients);
      }
    });
    const int64_t blocks = (out + kBlockRows - 1) / kBlockRows;
    parallel_for(parts.panels * blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t o = i % blocks * kBlockRows;
        const int64_t c = i / blocks * kBlockColumns;
        const Strided left = {gradients + o / kGroup * parts.group_floats() + o % kGroup, 1,
                              kGroup};
        const float* const right = inputs + i / blocks * parts.panel_floats();
        add_block(left, right, count, std::min(kBlockRows, out - o),
                  std::min(kBlockColumns, in - c), sums + o * in + c, in);
      }
    });
  }
}

}  // namespace pal::cpu
