#include "kernels/blocked/convolution.h"

#include <vector>

#include "kernels/blocked/multiply.h"

namespace pal::blocked {
namespace {

/// A pixel of an image relative to another one.
struct Tap {
  int64_t row, column;
};

/// Rows of gathered pixels: row (image, i, j) of a grid holds, for tap after tap, the channels of pixel
/// (i, j) * step + tap, zeros outside of the image.
struct Patches {
  const float* values;
  int64_t height, width, channels;
  int64_t grid_height, grid_width, step;
  std::vector<Tap> taps;

  /// A place of the grid that moves on.
  struct Place {
    int64_t image, row, column;
  };
  Place place(int64_t index) const {
    return {index / (grid_height * grid_width), index / grid_width % grid_height,
            index % grid_width};
  }
  void advance(Place& at) const {
    if (++at.column < grid_width) return;
    at.column = 0;
    if (++at.row < grid_height) return;
    at.row = 0;
    ++at.image;
  }

  /// The channels of a tap, null outside of the image.
  const float* pixel(const Place& at, const Tap& tap) const {
    const int64_t row = at.row * step + tap.row;
    const int64_t column = at.column * step + tap.column;
    if (row < 0 || row >= height || column < 0 || column >= width) return nullptr;
    return values + ((at.image * height + row) * width + column) * channels;
  }

  /// Calls run(from, count) for the elements [first, first + count) of the row at a place, in pieces as
  /// long as they lie one after another.
  template <typename Run>
  void visit(const Place& at, Range range, const Run& run) const {
    auto tap = static_cast<size_t>(range.first / channels);
    int64_t channel = range.first % channels;
    while (range.count > 0) {
      const float* const from = pixel(at, taps[tap]);
      int64_t count = channels - channel;
      for (++tap; from != nullptr && count < range.count && goes_on(at, tap); ++tap)
        count += channels;
      count = std::min(count, range.count);
      run(from != nullptr ? from + channel : nullptr, count);
      channel = 0;
      range.count -= count;
    }
  }
  /// Whether the pixel of a tap follows in memory that of the tap before, which is in the image.
  bool goes_on(const Place& at, size_t tap) const {
    return taps[tap].row == taps[tap - 1].row && taps[tap].column == taps[tap - 1].column + 1 &&
           at.column * step + taps[tap].column < width;
  }

  int64_t depth() const { return static_cast<int64_t>(taps.size()) * channels; }
};

struct LeftPatches {
  const Patches& patches;
  struct Reader {
    const Patches& patches;
    Patches::Place at;
    void next(Range depths, TileRow& to) {
      patches.visit(at, depths, [&](const float* from, int64_t count) { to.append(from, count); });
      patches.advance(at);
    }
  };
  Reader from(int64_t row) const { return {patches, patches.place(row)}; }
  void fetch(int64_t row, Range depths) const {
    patches.visit(patches.place(row), depths, [](const float* from, int64_t count) {
      if (from != nullptr) prefetch<false>(from, count);
    });
  }
};

/// Rows of patches as depths.
struct RightPatches {
  const Patches& patches;
  void pack(Range columns, Range depths, int64_t stride, float* to) const {
    float row[Cut::kPanels * kTileColumns];
    Patches::Place at = patches.place(depths.first);
    for (int64_t k = 0; k < rounded_up(depths.count, kGroup); ++k) {
      const bool inside = k < depths.count;
      float* next = row;
      if (inside) {
        patches.visit(at, columns, [&](const float* from, int64_t count) {
          for_each_vector(count, [&]<typename V>(int64_t i) {
            store_values(next + i, from != nullptr ? load_values<V>(from + i) : V{});
          });
          next += count;
        });
        patches.advance(at);
      }
      float* place = to + k * kTileColumns;
      for (int64_t j = 0; j < columns.count; j += kTileColumns, place += stride)
        put_columns(inside ? row + j : nullptr, std::min(kTileColumns, columns.count - j), place);
    }
  }
  void fetch(Range columns, Range depths, int64_t piece, int64_t pieces) const {
    const Range some = piece_of(depths, piece, pieces);
    for (int64_t k = 0; k < some.count; ++k)
      patches.visit(patches.place(some.first + k), columns, [](const float* from, int64_t count) {
        if (from != nullptr) prefetch<false>(from, count);
      });
  }
};

/// Every stride-th pixel of images, from (row, column) on.
struct EveryPixel {
  float* values;
  int64_t height, width, channels;
  int64_t stride, first_row, first_column;
  int64_t grid_height() const { return (height - first_row + stride - 1) / stride; }
  int64_t grid_width() const { return (width - first_column + stride - 1) / stride; }
  float* row(int64_t index) const {
    const int64_t image = index / (grid_height() * grid_width());
    const int64_t i = index / grid_width() % grid_height() * stride + first_row;
    const int64_t j = index % grid_width() * stride + first_column;
    return values + ((image * height + i) * width + j) * channels;
  }
};

/// What forward passes and gradients of weights read for each pixel of y.
Patches patches_of(const Tensor& x, const Tensor& y, const Window& window) {
  Patches patches = {x.data<float>(), x.size(1), x.size(2),     x.size(3),
                     y.size(1),       y.size(2), window.stride, {}};
  for (int64_t i = 0; i < window.kernel; ++i)
    for (int64_t j = 0; j < window.kernel; ++j)
      patches.taps.push_back({i - window.padding, j - window.padding});
  return patches;
}

/// The taps of the kernel that pixels `first` of x, every stride-th one, are read by, and what pixel of
/// y each writes, along one side.
struct Reached {
  int64_t tap, offset;
};
std::vector<Reached> reached(const Window& window, int64_t first) {
  std::vector<Reached> all;
  for (int64_t tap = 0; tap < window.kernel; ++tap)
    if ((first + window.padding - tap) % window.stride == 0)
      all.push_back({tap, (first + window.padding - tap) / window.stride});
  return all;
}

Extents weight_extents(const Tensor& x, const Tensor& grad_y, const Window& window) {
  return {grad_y.channels(), window.kernel * window.kernel * x.channels(), grad_y.rows()};
}

Extents forward_extents(const Tensor& x, const Tensor& y, const Window& window) {
  return {y.rows(), y.channels(), window.kernel * window.kernel * x.channels(), false};
}

/// Calls body(pixels, taps of rows, taps of columns, extents) for the pixels of grad_x that the same
/// taps read.
template <typename Body>
void for_each_phase(const Tensor& grad_x, const Tensor& grad_y, const Window& window,
                    const Body& body) {
  float* const values = static_cast<float*>(grad_x.raw());
  for (int64_t i = 0; i < std::min(window.stride, grad_x.size(1)); ++i)
    for (int64_t j = 0; j < std::min(window.stride, grad_x.size(2)); ++j) {
      const EveryPixel pixels = {
          values, grad_x.size(1), grad_x.size(2), grad_x.size(3), window.stride, i, j};
      const auto rows = reached(window, i);
      const auto columns = reached(window, j);
      const auto taps = static_cast<int64_t>(rows.size() * columns.size());
      body(pixels, rows, columns,
           Extents{grad_x.size(0) * pixels.grid_height() * pixels.grid_width(), grad_x.channels(),
                   taps * grad_y.channels(), false});
    }
}

bool is_product(const Window& window) {
  return window.kernel == 1 && window.stride == 1 && window.padding == 0;
}

/// Whether the gradient of the weights of a product is made as its transpose: what is packed row by row,
/// which costs more, is then the smaller operand, and few results are to be transposed.
bool transposed(const Extents& extents) {
  constexpr int64_t kMost = 1 << 17;
  return extents.m >= 2 * extents.n && extents.m * extents.n <= kMost;
}

int64_t bytes(const Extents& extents) {
  return extents.k == 0 ? 0 : Cut(extents).floats() * int64_t{sizeof(float)};
}

}  // namespace

void forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const Window& window,
             const Tensor& y) {
  const Patches patches = patches_of(x, y, window);
  multiply(forward_extents(x, y, window), LeftRows<LeftPatches>{{patches}},
           RightTransposed{{weight.data<float>(), patches.depth()}},
           bias.defined() ? bias.data<float>() : nullptr, false,
           DenseRows{y.data<float>(), y.channels()});
}

void backward_data(const Tensor& grad_y, const Tensor& weight, const Window& window,
                   const Tensor& grad_x) {
  for_each_phase(
      grad_x, grad_y, window,
      [&](const EveryPixel& pixels, const std::vector<Reached>& rows,
          const std::vector<Reached>& columns, const Extents& extents) {
        if (extents.k == 0) {
          for (int64_t i = 0; i < extents.m; ++i) std::fill_n(pixels.row(i), extents.n, 0.0F);
          return;
        }
        Patches patches = {grad_y.data<float>(),
                           grad_y.size(1),
                           grad_y.size(2),
                           grad_y.size(3),
                           pixels.grid_height(),
                           pixels.grid_width(),
                           1,
                           {}};
        std::vector<const float*> filters;  // of the taps, for the first channel of y
        for (const Reached& row : rows)
          for (const Reached& column : columns) {
            patches.taps.push_back({row.offset, column.offset});
            filters.push_back(weight.data<float>() +
                              (row.tap * window.kernel + column.tap) * grad_x.channels());
          }
        const int64_t out = grad_y.channels();
        const int64_t pitch = window.kernel * window.kernel * grad_x.channels();
        const auto filter = [&](int64_t k) {
          return filters[static_cast<size_t>(k / out)] + k % out * pitch;
        };
        multiply(extents, LeftRows<LeftPatches>{{patches}}, RightRows<decltype(filter)>{filter},
                 nullptr, false, pixels);
      });
}

void backward_weight(const Tensor& x, const Tensor& grad_y, const Window& window,
                     const Tensor& grad_weight) {
  const Patches patches = patches_of(x, grad_y, window);
  const Extents extents = weight_extents(x, grad_y, window);
  const LeftTransposed left = {{grad_y.data<float>(), grad_y.channels()}};
  const DenseRows target = {grad_weight.data<float>(), extents.n};
  if (!is_product(window))
    return multiply(extents, left, RightPatches{patches}, nullptr, true, target);
  const auto x_pixel = [&](int64_t k) { return x.data<float>() + k * x.channels(); };
  if (!transposed(extents))
    return multiply(extents, left, RightRows<decltype(x_pixel)>{x_pixel}, nullptr, true, target);
  const auto y_pixel = [&](int64_t k) { return grad_y.data<float>() + k * grad_y.channels(); };
  const Tensor sums = Tensor::empty({extents.n, extents.m}, DType::f32, Tag::workspace, Device());
  multiply({extents.n, extents.m, extents.k}, LeftTransposed{{x.data<float>(), x.channels()}},
           RightRows<decltype(y_pixel)>{y_pixel}, nullptr, false,
           DenseRows{sums.data<float>(), extents.m});
  parallel_for(extents.m, row_grain(extents.n), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o)
      for (int64_t i = 0; i < extents.n; ++i)
        target.row(o)[i] += sums.data<float>()[i * extents.m + o];
  });
}

int64_t forward_scratch_bytes(const Tensor& x, const Tensor& y, const Window& window) {
  return bytes(forward_extents(x, y, window));
}

int64_t data_scratch_bytes(const Tensor& grad_x, const Tensor& grad_y, const Window& window) {
  int64_t most = 0;
  for_each_phase(grad_x, grad_y, window,
                 [&](const auto&, const auto&, const auto&, const Extents& extents) {
                   most = std::max(most, bytes(extents));
                 });
  return most;
}

int64_t weight_scratch_bytes(const Tensor& x, const Tensor& grad_y, const Window& window) {
  const Extents e = weight_extents(x, grad_y, window);
  if (!is_product(window) || !transposed(e)) return bytes(e);
  return bytes({e.n, e.m, e.k}) + e.m * e.n * int64_t{sizeof(float)};
}

}  // namespace pal::blocked
