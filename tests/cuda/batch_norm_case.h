#pragma once
#include <string>

#include "kernels/norm/batch_norm.h"
#include "tests/cuda/parity.h"

// What the tests of batch norms on the GPU share: shapes, slices, types and operands.
namespace pal::test::batch_norm {

using testing::set_value;

/// One value, one row, accesses that several rows share, rows that fill none, several tiles,
/// several chunks.
inline const Shape kShapes[] = {{1, 1, 1, 1},  {2, 1, 1, 3},   {7, 1, 1, 64},   {1, 1, 1, 257},
                                {1013, 1},     {3, 5, 67, 6},  {1, 7, 3, 24},   {2, 23, 22, 24},
                                {5, 3, 7, 64}, {1, 3, 7, 130}, {1, 5, 11, 257}, {31, 300}};

/// Channels before and behind a slice; {0, 0}: dense.
struct Around {
  int64_t begin;
  int64_t after;
};
/// Any alignment, that of pairs, that of 16-byte accesses.
inline constexpr Around kArounds[] = {{0, 0}, {1, 2}, {2, 4}, {8, 8}};

struct Types {
  DType x;
  DType y;
};
inline constexpr Types kTypes[] = {
    {DType::f32, DType::f32}, {DType::f32, DType::bf16}, {DType::bf16, DType::bf16}};

inline Tensor place(const Tensor& values, const Around& around) {
  return around.begin + around.after > 0 ? gpu_slice(values, around.begin, around.after)
                                         : on_gpu(values);
}

/// A tensor on the GPU to write to, with this value in and around it.
inline Tensor target(const Shape& shape, DType dtype, double value, const Around& around) {
  const Tensor wide = Tensor::empty(shape.with_last(around.begin + shape.last() + around.after),
                                    dtype, Tag::data, gpu());
  wide.fill(value);
  return wide.slice_channels(around.begin, shape.last());
}

inline Tensor filled(int64_t channels, double value, Device device) {
  const Tensor t = Tensor::empty({channels}, DType::f32, Tag::data, device);
  t.fill(value);
  return t;
}

inline std::string text(const Shape& shape, const Around& around, DType x, DType y) {
  return shape.str() + " slice " + std::to_string(around.begin) + "+" +
         std::to_string(around.after) + " " + name_of(x) + " " + name_of(y);
}

inline BatchStatistics statistics_on(Device device, int64_t channels) {
  BatchStatistics s;
  s.mean = filled(channels, 9.0, device);
  s.inv_std = filled(channels, 9.0, device);
  s.running_mean = filled(channels, 0.5, device);
  s.running_var = filled(channels, 2.0, device);
  return s;
}

/// Operands of forward and backward, rounded to their types, on the CPU.
struct Case {
  Case(const Shape& shape, Types types) {
    const int64_t channels = shape.last();
    x = random_tensor(shape, types.x, 1, 1.5);
    grad_y = random_tensor(shape, types.y, 2);
    old = random_tensor(shape, types.x, 3);
    args.mean = random_tensor({channels}, DType::f32, 4);
    args.inv_std = Tensor::empty({channels});
    args.weight = random_tensor({channels}, DType::f32, 5);
    args.bias = random_tensor({channels}, DType::f32, 6);
    for (int64_t c = 0; c < channels; ++c)
      set_value(args.inv_std, c, 0.5 + 0.1 * static_cast<double>(c % 7));
  }
  /// With parameters that 16-byte accesses do not suit if `aligned` is false.
  BatchNormArgs args_on_gpu(bool aligned = true) const {
    const auto move = [&](const Tensor& t) {
      if (aligned) return on_gpu(t);
      const Tensor wide = filled(t.numel() + 1, 0.0, gpu());
      const Tensor view = wide.view_at(1, t.shape());
      view.copy_from(t);
      return view;
    };
    return {move(args.mean), move(args.inv_std), move(args.weight), move(args.bias)};
  }

  Tensor x, grad_y, old;
  BatchNormArgs args;
};

}  // namespace pal::test::batch_norm
