#pragma once
#include <algorithm>
#include <vector>

#include "kernels/common/packed_rows.h"
#include "kernels/norm/batch_norm_check.h"
#include "runtime/parallel.h"

// How the CPU's batch norm loops walk over rows.
//
// Data flow: rows are grouped into lines of about kLineValues values; a LineReader gives a line as
// an array without gaps (rows of channel slices are packed into its buffer), one vectorised loop
// computes on it beside lines of repeated per-channel numbers, a LineWriter puts the result back.
// Sums add kStreams lines of a chunk of rows at a time to one line of running sums, which is folded
// to a sum per channel at the end of the chunk; a tree adds the chunks in double.
// Memory: one line per operand, stream and thread, and two sums per channel of each chunk.
// The trick: loops are long whatever the number of channels, and chunks follow from shapes alone,
// so that sums do not depend on the number of threads.
namespace pal::cpu::batch_norm {

/// With few channels several rows side by side are handled as one line of about this many values.
inline constexpr int64_t kLineValues = 512;
/// Lines that a pass over the sums takes at once, so that it touches each running sum once for all.
/// They lie a quarter of a chunk apart: processors prefetch several distant streams better than
/// one.
inline constexpr int64_t kStreams = 4;

/// How the rows of a call's tensors are grouped.
struct Lines {
  int64_t rows = 0;
  int64_t channels = 0;
  int64_t fold = 1;  ///< rows of a line

  /// Rows of channel slices are packed into lines where they are very short, else taken one by one.
  Lines(const Tensor& x, bool all_dense) : rows(x.rows()), channels(x.channels()) {
    if (channels < (all_dense ? kLineValues : 16)) fold = kLineValues / channels;
  }
  /// Values of a line.
  int64_t width() const { return fold * channels; }
  /// Rows per partial sum: fixed, so that sums do not depend on the number of threads.
  int64_t chunk_rows() const { return std::max<int64_t>(256, 32768 / channels); }

  /// A line of per-channel values: values[channels], repeated for its rows.
  template <typename C, typename T>
  std::vector<C> repeated(const T* values) const {
    std::vector<C> line(static_cast<size_t>(width()));
    for (int64_t row = 0; row < fold; ++row)
      for (int64_t c = 0; c < channels; ++c)
        line[static_cast<size_t>(row * channels + c)] = static_cast<C>(values[c]);
    return line;
  }
};

/// Reads lines of a tensor, packed where it has gaps.
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

/// Writes, or changes, lines of a tensor, packed where it has gaps.
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
  /// Puts the `count` rows from `row` on, which open() gave room for, into the tensor.
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

/// Adds what sum_rows returned to `to`, f64 [2, channels].
inline void add_sums(const std::vector<double>& from, const Tensor& to) {
  for (size_t i = 0; i < from.size(); ++i) to.data<double>()[i] += from[i];
}

/// Calls body(row, count) for all lines of a range of rows.
template <typename Body>
void for_each_line(const Lines& lines, int64_t begin, int64_t end, Body&& body) {
  for (int64_t row = begin; row < end; row += lines.fold)
    body(row, std::min(lines.fold, end - row));
}

/// Calls body(X{}, Y{}) with the types of x and of y; throws usage for a pair without a kernel.
template <typename Body>
void dispatch(const char* op, DType x, DType y, Body&& body) {
  if (x == DType::f64 && y == DType::f64) return body(double{}, double{});
  dispatch_batch_norm(op, x, y, body);
}

}  // namespace pal::cpu::batch_norm
