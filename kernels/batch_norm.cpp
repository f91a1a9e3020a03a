#include "kernels/batch_norm.h"

#include <limits>
#include <vector>

#include "kernels/tile.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

// With few channels several rows side by side are handled as one line of about this many values.
constexpr int64_t kLineValues = 512;
// Lines that a pass over the sums takes at once, so that it touches each running sum once for all.
// They lie a quarter of a chunk apart: processors prefetch several distant streams better than one.
constexpr int64_t kStreams = 4;

/// How the rows of a call's tensors are grouped.
struct Lines {
  int64_t rows = 0;
  int64_t channels = 0;
  int64_t fold = 1;  ///< rows of a line

  /// Rows of channel slices are packed into lines where they are very short, else taken one by one.
  Lines(const Tensor& x, bool all_dense) : rows(x.rows()), channels(x.channels()) {
    if (channels < (all_dense ? kLineValues : 16)) fold = kLineValues / channels;
  }
  int64_t width() const { return fold * channels; }
  /// Rows per partial sum: fixed, so that sums do not depend on the number of threads.
  int64_t chunk_rows() const { return std::max<int64_t>(256, 32768 / channels); }

  template <typename C, typename P>
  std::vector<C> repeated(const P* values) const {
    std::vector<C> line(static_cast<size_t>(width()));
    for (int64_t row = 0; row < fold; ++row)
      for (int64_t c = 0; c < channels; ++c)
        line[static_cast<size_t>(row * channels + c)] = static_cast<C>(values[c]);
    return line;
  }
};

/// Reads lines of a tensor.
template <typename T>
class LineReader {
 public:
  LineReader(const Tensor& tensor, const Lines& lines)
      : from_(tensor.data<T>()),
        pitch_(tensor.pitch()),
        lines_(lines),
        buffer_(static_cast<size_t>(tensor.is_dense() ? 0 : kStreams * lines.width())) {}

  /// The line of `count` rows from `row` on; it stays until the next one of the same stream.
  const T* read(int64_t row, int64_t count, int64_t stream = 0) {
    return packed_rows(from_ + row * pitch_, pitch_, count, lines_.channels,
                       buffer_.data() + stream * lines_.width());
  }

 private:
  const T* from_;
  int64_t pitch_;
  Lines lines_;
  std::vector<T> buffer_;
};

/// Writes, or changes, lines of a tensor.
template <typename T>
class LineWriter {
 public:
  LineWriter(const Tensor& tensor, const Lines& lines)
      : to_(tensor.data<T>()),
        pitch_(tensor.pitch()),
        lines_(lines),
        buffer_(static_cast<size_t>(tensor.is_dense() || lines.fold == 1 ? 0 : lines.width())) {}

  /// Where to write `count` rows from `row` on; with `load` they hold the tensor's values.
  T* open(int64_t row, int64_t count, bool load) {
    T* first = to_ + row * pitch_;
    if (buffer_.empty()) return first;
    if (load) copy_rows(first, pitch_, buffer_.data(), lines_.channels, count, lines_.channels);
    return buffer_.data();
  }
  void close(int64_t row, int64_t count) {
    if (buffer_.empty()) return;
    copy_rows(buffer_.data(), lines_.channels, to_ + row * pitch_, pitch_, count, lines_.channels);
  }

 private:
  T* to_;
  int64_t pitch_;
  Lines lines_;
  std::vector<T> buffer_;
};

/// Sums two per-channel quantities over all rows. make_adder() makes a thread's
/// add.operator()<n>(row, step, count, first, second), which adds the terms of n lines of `count`
/// rows, `step` rows apart, to two lines of the arithmetic type. Returns [2][channels] in double.
template <typename C, typename MakeAdder>
std::vector<double> sum_rows(const Lines& lines, MakeAdder&& make_adder) {
  const int64_t channels = lines.channels;
  const int64_t chunk_rows = lines.chunk_rows();
  const int64_t chunks = (lines.rows + chunk_rows - 1) / chunk_rows;
  std::vector<double> sums(static_cast<size_t>(2 * chunks * channels));
  parallel_for(chunks, 1, [&](int64_t begin, int64_t end) {
    auto add = make_adder();
    std::vector<C> local(static_cast<size_t>(2 * lines.width()));
    C* first = local.data();
    C* second = first + lines.width();
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      std::fill(local.begin(), local.end(), C{0});
      int64_t row = chunk * chunk_rows;
      const int64_t last = std::min(lines.rows, row + chunk_rows);
      const int64_t step = (last - row) / (kStreams * lines.fold) * lines.fold;
      for (const int64_t stop = row + step; row < stop; row += lines.fold)
        add.template operator()<kStreams>(row, step, lines.fold, first, second);
      for (row += (kStreams - 1) * step; row < last; row += lines.fold)
        add.template operator()<1>(row, 0, std::min(lines.fold, last - row), first, second);
      fold_rows(first, lines.fold, channels);
      fold_rows(second, lines.fold, channels);
      double* to = sums.data() + 2 * chunk * channels;
      for (int64_t c = 0; c < channels; ++c) {
        to[c] = static_cast<double>(first[c]);
        to[channels + c] = static_cast<double>(second[c]);
      }
    }
  });
  tree_sum(sums.data(), chunks, 2 * channels);
  sums.resize(static_cast<size_t>(2 * channels));
  return sums;
}

/// Calls body(row, count) for all lines of a range of rows.
template <typename Body>
void for_each_line(const Lines& lines, int64_t begin, int64_t end, Body&& body) {
  for (int64_t row = begin; row < end; row += lines.fold)
    body(row, std::min(lines.fold, end - row));
}

/// Calls body with the types of x, of y and of the parameters.
template <typename Body>
void dispatch(const char* op, DType x, DType y, Body&& body) {
  if (x == DType::f32 && y == DType::f32) return body(float{}, float{}, float{});
  if (x == DType::f32 && y == DType::bf16) return body(float{}, bfloat16{}, float{});
  if (x == DType::bf16 && y == DType::bf16) return body(bfloat16{}, bfloat16{}, float{});
  if (x == DType::f64 && y == DType::f64) return body(double{}, double{}, double{});
  fail(ErrorKind::usage, "{}: no kernel for x of {} and y of {}", op, name_of(x), name_of(y));
}

void check(const char* op, const Tensor& x, const Tensor& y, const BatchNormArgs& args) {
  const int64_t channels = x.channels();
  expect(x.rows() > 0, "{}: expected at least one row, got {}", op, x.shape().str());
  expect(y.shape() == x.shape(), "{}: expected {}, got {}", op, x.shape().str(), y.shape().str());
  expect(args.mean.numel() == channels && args.inv_std.numel() == channels &&
             args.weight.numel() == channels && args.bias.numel() == channels,
         "{}: expected parameters of {} channels", op, channels);
}

template <typename X, typename P>
void statistics(const Tensor& x, const Tensor& mean, const Tensor& variance) {
  using C = Compute<X>;
  const int64_t channels = x.channels();
  const Lines lines(x, x.is_dense());
  // Sums relative to the first row: no cancellation when the mean is far from zero.
  const std::vector<C> shift = lines.repeated<C>(x.data<X>());
  const C* base = shift.data();
  const auto sums = sum_rows<C>(lines, [&] {
    return [&, reader = LineReader<X>(x, lines)]<int64_t kCount>(
               int64_t row, int64_t step, int64_t count, C* first, C* second) mutable {
      const X* from[kCount];
      for (int64_t n = 0; n < kCount; ++n) from[n] = reader.read(row + n * step, count, n);
#pragma omp simd
      for (int64_t i = 0; i < count * channels; ++i) {
        C sum{0};
        C squares{0};
        for (int64_t n = 0; n < kCount; ++n) {
          const C d = static_cast<C>(from[n][i]) - base[i];
          sum += d;
          squares += d * d;
        }
        first[i] += sum;
        second[i] += squares;
      }
    };
  });
  const auto rows = static_cast<double>(x.rows());
  for (int64_t c = 0; c < channels; ++c) {
    const double d = sums[static_cast<size_t>(c)] / rows;
    const double square = sums[static_cast<size_t>(channels + c)] / rows;
    mean.data<P>()[c] = static_cast<P>(static_cast<double>(base[c]) + d);
    variance.data<P>()[c] = static_cast<P>(std::max(0.0, square - d * d));
  }
}

/// y = (x - mean) * slope + bias, line by line.
template <typename C, typename P>
struct Affine {
  std::vector<C> mean, slope, bias;

  Affine(const Lines& lines, const BatchNormArgs& args)
      : mean(lines.repeated<C>(args.mean.data<P>())), bias(lines.repeated<C>(args.bias.data<P>())) {
    std::vector<C> gain(static_cast<size_t>(lines.channels));
    for (int64_t c = 0; c < lines.channels; ++c)
      gain[static_cast<size_t>(c)] = args.inv_std.data<P>()[c] * args.weight.data<P>()[c];
    slope = lines.repeated<C>(gain.data());
  }
};

template <typename X, typename Y, typename P>
void forward(const Tensor& x, const BatchNormArgs& args, bool relu, const Tensor& y) {
  using C = Compute<X>;
  const Lines lines(x, x.is_dense() && y.is_dense());
  const Affine<C, P> affine(lines, args);
  const C* mean = affine.mean.data();
  const C* slope = affine.slope.data();
  const C* bias = affine.bias.data();
  const C floor = relu ? C{0} : -std::numeric_limits<C>::infinity();
  parallel_for(lines.rows, row_grain(lines.channels), [&](int64_t begin, int64_t end) {
    LineReader<X> reader(x, lines);
    LineWriter<Y> writer(y, lines);
    for_each_line(lines, begin, end, [&](int64_t row, int64_t count) {
      const X* from = reader.read(row, count);
      Y* to = writer.open(row, count, false);
#pragma omp simd
      for (int64_t i = 0; i < count * lines.channels; ++i) {
        const C value = (static_cast<C>(from[i]) - mean[i]) * slope[i] + bias[i];
        // A NaN must pass the ReLU, so that it is seen.
        to[i] = static_cast<Y>(value < floor ? floor : value);
      }
      writer.close(row, count);
    });
  });
}

template <typename X, typename Y, typename P>
void backward(const Tensor& x, const Tensor& grad_y, const BatchNormArgs& args, bool relu,
              bool batch_statistics_used, const BatchNormGrads& grads) {
  using C = Compute<X>;
  const auto channels = static_cast<size_t>(x.channels());
  const Lines lines(
      x, x.is_dense() && grad_y.is_dense() && (!grads.x.defined() || grads.x.is_dense()));
  const Affine<C, P> affine(lines, args);
  const C* mean = affine.mean.data();
  const C* slope = affine.slope.data();
  const C* bias = affine.bias.data();
  const C floor = relu ? C{0} : -std::numeric_limits<C>::infinity();
  // first: sum(g), second: sum(g * (x - mean)), g masked by the ReLU.
  const auto sums = sum_rows<C>(lines, [&] {
    return [&, x_reader = LineReader<X>(x, lines),
            grad_reader = LineReader<Y>(grad_y, lines)]<int64_t kCount>(
               int64_t row, int64_t step, int64_t count, C* first, C* second) mutable {
      const X* from[kCount];
      const Y* grad[kCount];
      for (int64_t n = 0; n < kCount; ++n) {
        from[n] = x_reader.read(row + n * step, count, n);
        grad[n] = grad_reader.read(row + n * step, count, n);
      }
#pragma omp simd
      for (int64_t i = 0; i < count * lines.channels; ++i) {
        C sum{0};
        C products{0};
        for (int64_t n = 0; n < kCount; ++n) {
          const C centred = static_cast<C>(from[n][i]) - mean[i];
          const C value = static_cast<C>(grad[n][i]);
          const C g = centred * slope[i] + bias[i] > floor ? value : C{0};
          sum += g;
          products += g * centred;
        }
        first[i] += sum;
        second[i] += products;
      }
    };
  });
  const auto rows = static_cast<double>(x.rows());
  std::vector<C> mean_g(channels), slope_gx(channels);
  for (size_t c = 0; c < channels; ++c) {
    const double inv = args.inv_std.data<P>()[c];
    if (grads.bias.defined()) grads.bias.data<P>()[c] += static_cast<P>(sums[c]);
    if (grads.weight.defined())
      grads.weight.data<P>()[c] += static_cast<P>(sums[channels + c] * inv);
    if (!batch_statistics_used) continue;
    mean_g[c] = static_cast<C>(sums[c] / rows);
    slope_gx[c] = static_cast<C>(sums[channels + c] * inv * inv / rows);
  }
  if (!grads.x.defined()) return;
  const std::vector<C> mean_line = lines.repeated<C>(mean_g.data());
  const std::vector<C> slope_line = lines.repeated<C>(slope_gx.data());
  const C* mg = mean_line.data();
  const C* mgx = slope_line.data();
  const auto apply = [&]<bool kAccumulate>(int64_t begin, int64_t end) {
    LineReader<X> x_reader(x, lines);
    LineReader<Y> grad_reader(grad_y, lines);
    LineWriter<X> writer(grads.x, lines);
    for_each_line(lines, begin, end, [&](int64_t row, int64_t count) {
      const X* from = x_reader.read(row, count);
      const Y* grad = grad_reader.read(row, count);
      X* to = writer.open(row, count, kAccumulate);
#pragma omp simd
      for (int64_t i = 0; i < count * lines.channels; ++i) {
        const C centred = static_cast<C>(from[i]) - mean[i];
        const C g = centred * slope[i] + bias[i] > floor ? static_cast<C>(grad[i]) : C{0};
        const C value = slope[i] * (g - mg[i] - centred * mgx[i]);
        if constexpr (kAccumulate)
          to[i] = static_cast<X>(static_cast<C>(to[i]) + value);
        else
          to[i] = static_cast<X>(value);
      }
      writer.close(row, count);
    });
  };
  parallel_for(lines.rows, row_grain(lines.channels), [&](int64_t begin, int64_t end) {
    if (grads.accumulate_x)
      apply.template operator()<true>(begin, end);
    else
      apply.template operator()<false>(begin, end);
  });
}

}  // namespace

void batch_statistics(const Tensor& x, const Tensor& mean, const Tensor& variance) {
  expect(x.rows() > 0 && mean.numel() == x.channels() && variance.numel() == x.channels(),
         "batch_statistics: expected rows and {} channels, got {}", x.channels(), x.shape().str());
  const ProfileScope profile("batch_statistics", x.bytes());
  dispatch("batch_statistics", x.dtype(), x.dtype(), [&](auto tx, auto, auto tp) {
    statistics<decltype(tx), decltype(tp)>(x, mean, variance);
  });
}

void batch_norm_forward(const Tensor& x, const BatchNormArgs& args, bool relu, const Tensor& y) {
  check("batch_norm_forward", x, y, args);
  const ProfileScope profile("batch_norm_forward", x.bytes() + y.bytes());
  dispatch("batch_norm_forward", x.dtype(), y.dtype(), [&](auto tx, auto ty, auto tp) {
    forward<decltype(tx), decltype(ty), decltype(tp)>(x, args, relu, y);
  });
}

void batch_norm_backward(const Tensor& x, const Tensor& grad_y, const BatchNormArgs& args,
                         bool relu, bool batch_statistics_used, const BatchNormGrads& grads) {
  check("batch_norm_backward", x, grad_y, args);
  expect(!grads.x.defined() || (grads.x.shape() == x.shape() && grads.x.dtype() == x.dtype()),
         "batch_norm_backward: expected grad_x like x {}", x.shape().str());
  for (const Tensor& grad : {grads.weight, grads.bias})
    expect(!grad.defined() || grad.numel() == x.channels(),
           "batch_norm_backward: expected gradients of {} channels, got {}", x.channels(),
           grad.shape().str());
  const ProfileScope profile("batch_norm_backward", 3 * x.bytes() + 2 * grad_y.bytes());
  dispatch("batch_norm_backward", x.dtype(), grad_y.dtype(), [&](auto tx, auto ty, auto tp) {
    backward<decltype(tx), decltype(ty), decltype(tp)>(x, grad_y, args, relu, batch_statistics_used,
                                                       grads);
  });
}

}  // namespace pal::cpu
