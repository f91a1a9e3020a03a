#pragma once
#include <algorithm>
#include <bit>

#include "kernels/blocked/operands.h"
#include "runtime/parallel.h"
#include "runtime/tensor.h"

// Products of packed operands. The result is cut into tasks, each done by one thread: rows that fit, for a
// chunk of the depth, into a second-level cache, by a strip of columns. A task packs its rows; what it
// reads of the right operand is packed for all tasks before, a block at a time that stays in a third-level
// cache, or by the task itself where no other one reads it. Every value is the sum of its chunks of the
// depth in their order, so that the bits depend on neither the tasks nor the threads.
namespace pal::blocked {

/// The extents of a product [m, k] [k, n], none of them 0.
struct Extents {
  int64_t m, n, k;
  /// Sums of a long depth may be made in parts where results are few: their bits then depend on m.
  bool in_parts = true;
};

/// How a product is cut, and its scratch memory.
class Cut {
 public:
  explicit Cut(const Extents& e) : extents(e) {
    const int64_t chunks = pieces(e.k, kMostDepth);
    depth = rounded_up(pieces(e.k, chunks), kGroup);
    const bool few = e.m <= kMostRows;
    const bool long_sums = e.in_parts && few && e.m * e.n <= kMostSums && e.k >= 2 * kPartDepth;
    const auto wanted = static_cast<uint64_t>(std::min(kMostParts, e.k / kPartDepth));
    part_depth =
        pieces(chunks, long_sums ? static_cast<int64_t>(std::bit_floor(wanted)) : 1) * depth;
    parts = pieces(e.k, part_depth);
    const int64_t threads = thread_count();
    const bool apart = parts > 1 || (few && e.n >= 4 * threads * kFewestColumns);
    rows = apart ? rounded_up(e.m, kTileRows) : fitted(e.m, kTaskRows, kTileRows);
    shared = row_tasks() > 1;
    block_columns = std::min(rounded_up(e.n, kTileColumns), kMostColumns);
    block_chunks = std::clamp<int64_t>(kBlockFloats / (depth * block_columns), 1, chunks);
    columns = block_columns;
    while (threads > 1 && tasks() < 4 * threads && columns > kFewestColumns)
      columns = fitted(block_columns, columns / 2, kTileColumns);
    while (shared && threads > 1 && tasks() < 4 * threads && rows > kFewestRows)
      rows = fitted(e.m, rows / 2, kTileRows);
    workers = std::min<int64_t>(thread_count(), tasks());
  }

  int64_t row_tasks() const { return pieces(extents.m, rows); }
  int64_t column_tasks() const { return pieces(shared ? block_columns : extents.n, columns); }
  /// Of a block of columns, if the right operand is shared.
  int64_t tasks() const { return row_tasks() * column_tasks() * parts; }
  int64_t block_panels() const { return pieces(block_columns, kTileColumns); }

  int64_t tile_stride() const { return odd_lines(kTileRows * depth); }
  int64_t panel_stride() const { return odd_lines(kTileColumns * depth); }
  int64_t left_floats() const { return pieces(rows, kTileRows) * tile_stride(); }
  int64_t worker_floats() const {
    const int64_t panels = shared ? 0 : std::min(kPanels, pieces(columns, kTileColumns));
    return left_floats() + panels * panel_stride();
  }
  int64_t block_floats() const { return block_chunks * block_panels() * panel_stride(); }
  int64_t floats() const {
    return workers * worker_floats() + (shared      ? block_floats()
                                        : parts > 1 ? parts * extents.m * extents.n
                                                    : 0);
  }

  static int64_t pieces(int64_t extent, int64_t size) { return (extent + size - 1) / size; }

  /// Panels that are packed at once.
  static constexpr int64_t kPanels = 8;
  static constexpr int64_t kMostRows = 204;

  Extents extents;
  int64_t depth;  ///< of a chunk
  int64_t parts;  ///< of the depth, where it is long and results are few, that are summed apart
  int64_t part_depth;     ///< of a part: whole chunks
  bool shared;            ///< whether the right operand is packed for all tasks
  int64_t rows, columns;  ///< of a task
  int64_t block_columns;  ///< of a block of the right operand
  int64_t block_chunks;   ///< of the depth, of such a block
  int64_t workers;        ///< threads at most

 private:
  static constexpr int64_t kMostDepth = 256;
  static constexpr int64_t kMostColumns = 4096;
  static constexpr int64_t kBlockFloats = 1 << 20;
  static constexpr int64_t kTaskRows = 96;
  static constexpr int64_t kFewestRows = 4 * kTileRows;
  static constexpr int64_t kFewestColumns = 128;
  static constexpr int64_t kMostSums = 200'000;
  static constexpr int64_t kPartDepth = 2048;
  static constexpr int64_t kMostParts = 16;

  /// The size of equal pieces of `extent`, of at most `most`, whole tiles.
  static int64_t fitted(int64_t extent, int64_t most, int64_t tile) {
    return rounded_up(pieces(extent, pieces(extent, most)), tile);
  }
};

/// Rows of a result at equal distances.
struct DenseRows {
  float* values;
  int64_t pitch;
  float* row(int64_t i) const { return values + i * pitch; }
};

/// What a task does.
struct Work {
  Range rows, columns, depths;   ///< whole chunks of the depth, but for the last one
  bool add;                      ///< to what the target holds
  const float* right;            ///< its panels, chunk after chunk, or null: not packed yet
  Range next_rows, next_depths;  ///< what the thread packs after that, if anything
};

/// Computes tasks, by one thread.
template <typename Left, typename Right, typename Target>
class Worker {
 public:
  /// bias: [n] or null; scratch: Cut::worker_floats().
  Worker(const Cut& cut, const Left& left, const Right& right, const float* bias, float* scratch)
      : cut_(cut), left_(left), right_(right), bias_(bias), scratch_(scratch) {}

  void run(const Work& work, const Target& target) {
    for (int64_t i = 0; i < work.rows.count; ++i) rows_[i] = target.row(work.rows.first + i);
    for (int64_t k = 0; k < work.depths.count; k += cut_.depth) {
      const Range chunk = {work.depths.first + k, std::min(cut_.depth, work.depths.count - k)};
      left_.pack(work.rows, chunk, cut_.tile_stride(), scratch_);
      const int64_t after = k + cut_.depth;
      const bool last = after >= work.depths.count;
      ahead_ = {
          last ? work.next_rows : work.rows,
          last ? work.next_depths
               : Range{work.depths.first + after, std::min(cut_.depth, work.depths.count - after)},
          0,
          Cut::pieces(work.rows.count, kTileRows) * Cut::pieces(work.columns.count, kTileColumns)};
      const bool add = work.add || k > 0;
      if (work.right == nullptr)
        pack_and_multiply(work, chunk, add);
      else
        multiply_panels(work.rows.count, work.columns, chunk.count, add,
                        work.right + k / cut_.depth * cut_.block_panels() * cut_.panel_stride());
    }
  }

 private:
  void pack_and_multiply(const Work& work, Range chunk, bool add) {
    constexpr int64_t kStep = Cut::kPanels * kTileColumns;
    float* const packed = scratch_ + cut_.left_floats();
    for (int64_t j = 0; j < work.columns.count; j += kStep) {
      const Range some = {work.columns.first + j, std::min(kStep, work.columns.count - j)};
      right_.pack(some, chunk, cut_.panel_stride(), packed);
      const int64_t next = j + kStep;
      const int64_t tiles =
          Cut::pieces(work.rows.count, kTileRows) * Cut::pieces(some.count, kTileColumns);
      if (next < work.columns.count)
        ahead_right_ = {{work.columns.first + next, std::min(kStep, work.columns.count - next)},
                        chunk,
                        0,
                        tiles};
      else
        ahead_right_ = {
            {work.columns.first, std::min(kStep, work.columns.count)}, ahead_.depths, 0, tiles};
      multiply_panels(work.rows.count, some, chunk.count, add, packed);
    }
  }

  void multiply_panels(int64_t rows, Range columns, int64_t depth, bool add, const float* right) {
    // A panel stays in the first-level cache for all rows; if all panels do, results are written along
    // their rows.
    const int64_t groups = Cut::pieces(depth, kGroup);
    constexpr int64_t kNear = 4096;
    const int64_t step = groups * kGroup * columns.count <= kNear ? kTileRows : rows;
    for (int64_t i = 0; i < rows; i += step)
      for (int64_t j = 0; j < columns.count; j += kTileColumns)
        multiply_panel({i, std::min(step, rows - i)},
                       {columns.first + j, std::min(kTileColumns, columns.count - j)}, groups, add,
                       right + j / kTileColumns * cut_.panel_stride());
  }

  void multiply_panel(Range rows, Range some, int64_t groups, bool add, const float* right) {
    float start[kTileColumns] = {};
    if (bias_ != nullptr && !add) std::copy_n(bias_ + some.first, some.count, start);
    for (int64_t i = rows.first; i < rows.first + rows.count; i += kTileRows) {
      const float* const left = scratch_ + i / kTileRows * cut_.tile_stride();
      const int64_t height = std::min(kTileRows, rows.first + rows.count - i);
      left_.fetch(ahead_.lines, ahead_.depths, ahead_.done++, ahead_.pieces);
      if (ahead_right_.pieces > 0)
        right_.fetch(ahead_right_.lines, ahead_right_.depths, ahead_right_.done++,
                     ahead_right_.pieces);
      if (height < kTileRows || some.count < kTileColumns)
        multiply_edge(left, right, groups, start, {i, height}, some, add);
      else if (add)
        multiply_tile<Left::kOrder, true>(left, right, groups, start, rows_ + i, some.first);
      else
        multiply_tile<Left::kOrder, false>(left, right, groups, start, rows_ + i, some.first);
    }
  }

  void multiply_edge(const float* left, const float* right, int64_t groups, const float* start,
                     Range rows, Range columns, bool add) {
    float tile[kTileRows][kTileColumns];
    float* to[kTileRows];
    for (int64_t i = 0; i < kTileRows; ++i) to[i] = tile[i];
    multiply_tile<Left::kOrder, false>(left, right, groups, start, to, 0);
    for (int64_t i = 0; i < rows.count; ++i) {
      float* const row = rows_[rows.first + i] + columns.first;
      for (int64_t j = 0; j < columns.count; ++j) row[j] = add ? row[j] + tile[i][j] : tile[i][j];
    }
  }

  /// What is fetched for the next packing while tiles are computed, piece by piece.
  struct Ahead {
    Range lines, depths;  ///< rows of the left operand, columns of the right one
    int64_t done, pieces;
  };

  const Cut& cut_;
  const Left& left_;
  const Right& right_;
  const float* bias_;
  float* scratch_;
  Ahead ahead_ = {};
  Ahead ahead_right_ = {};
  float* rows_[Cut::kMostRows];
};

/// Calls body(task, the one after it, scratch memory of its thread) for the tasks of a cut.
template <typename Body>
void for_each_task(const Cut& cut, int64_t tasks, float* scratch, const Body& body) {
  parallel_tasks(tasks, cut.workers, [&](int64_t task, int64_t next, int64_t worker) {
    body(task, next, scratch + worker * cut.worker_floats());
  });
}

/// Packs a block of the right operand.
template <typename Right>
void pack_block(const Cut& cut, const Right& right, Range columns, Range depths, float* to) {
  const int64_t groups = Cut::pieces(cut.block_panels(), Cut::kPanels);
  const int64_t chunks = Cut::pieces(depths.count, cut.depth);
  parallel_tasks(chunks * groups, cut.workers, [&](int64_t i, int64_t, int64_t) {
    const int64_t panel = i % groups * Cut::kPanels;
    const int64_t column = panel * kTileColumns;
    const int64_t k = i / groups * cut.depth;
    if (column >= columns.count) return;
    right.pack(
        {columns.first + column, std::min(Cut::kPanels * kTileColumns, columns.count - column)},
        {depths.first + k, std::min(cut.depth, depths.count - k)}, cut.panel_stride(),
        to + (i / groups * cut.block_panels() + panel) * cut.panel_stride());
  });
}

/// A product whose right operand is packed block by block for all tasks.
template <typename Left, typename Right, typename Target>
void multiply_shared(const Cut& cut, const Left& left, const Right& right, const float* bias,
                     bool add, const Target& target, float* scratch) {
  const Extents& e = cut.extents;
  float* const block = scratch + cut.workers * cut.worker_floats();
  const int64_t block_depth = cut.block_chunks * cut.depth;
  for (int64_t c = 0; c < e.n; c += cut.block_columns)
    for (int64_t k = 0; k < e.k; k += block_depth) {
      const Range columns = {c, std::min(cut.block_columns, e.n - c)};
      const Range depths = {k, std::min(block_depth, e.k - k)};
      pack_block(cut, right, columns, depths, block);
      const int64_t strips = Cut::pieces(columns.count, cut.columns);
      for_each_task(
          cut, cut.row_tasks() * strips, scratch, [&](int64_t task, int64_t after, float* own) {
            const int64_t row = task / strips * cut.rows;
            const int64_t next = after / strips * cut.rows;
            const int64_t strip = task % strips * cut.columns;
            Worker<Left, Right, Target>(cut, left, right, bias, own)
                .run({.rows = {row, std::min(cut.rows, e.m - row)},
                      .columns = {c + strip, std::min(cut.columns, columns.count - strip)},
                      .depths = depths,
                      .add = add || k > 0,
                      .right = block + strip / kTileColumns * cut.panel_stride(),
                      .next_rows = {next, std::clamp<int64_t>(e.m - next, 0, cut.rows)},
                      .next_depths = {k, std::min(cut.depth, depths.count)}},
                     target);
          });
    }
}

/// A product of few rows, each strip of columns by one task.
template <typename Left, typename Right, typename Target>
void multiply_apart(const Cut& cut, const Left& left, const Right& right, const float* bias,
                    bool add, const Target& target, float* scratch) {
  const Extents& e = cut.extents;
  for_each_task(cut, cut.tasks(), scratch, [&](int64_t task, int64_t, float* own) {
    const int64_t strip = task * cut.columns;
    Worker<Left, Right, Target>(cut, left, right, bias, own)
        .run({.rows = {0, e.m},
              .columns = {strip, std::min(cut.columns, e.n - strip)},
              .depths = {0, e.k},
              .add = add,
              .right = nullptr,
              .next_rows = {},
              .next_depths = {}},
             target);
  });
}

/// A product of a long depth and few results: sums of parts of the depth, then their sum.
template <typename Left, typename Right, typename Target>
void multiply_parts(const Cut& cut, const Left& left, const Right& right, const float* bias,
                    bool add, const Target& target, float* scratch) {
  const Extents& e = cut.extents;
  float* const sums = scratch + cut.workers * cut.worker_floats();
  for_each_task(cut, cut.tasks(), scratch, [&](int64_t task, int64_t, float* own) {
    const int64_t strip = task % cut.column_tasks() * cut.columns;
    const int64_t depth = task / cut.column_tasks() * cut.part_depth;
    Worker<Left, Right, DenseRows>(cut, left, right, nullptr, own)
        .run({.rows = {0, e.m},
              .columns = {strip, std::min(cut.columns, e.n - strip)},
              .depths = {depth, std::min(cut.part_depth, e.k - depth)},
              .add = false,
              .right = nullptr,
              .next_rows = {},
              .next_depths = {}},
             {sums + task / cut.column_tasks() * e.m * e.n, e.n});
  });
  parallel_for(e.m, row_grain(cut.parts * e.n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* const row = target.row(i);
      for (int64_t j = 0; j < e.n; ++j) {
        float sum = 0.0F;
        for (int64_t part = 0; part < cut.parts; ++part) sum += sums[(part * e.m + i) * e.n + j];
        row[j] = sum + (add ? row[j] : bias != nullptr ? bias[j] : 0.0F);
      }
    }
  });
}

/// target = left right + bias (for all rows; null: none), or target += left right.
template <typename Left, typename Right, typename Target>
void multiply(const Extents& extents, const Left& left, const Right& right, const float* bias,
              bool add, const Target& target) {
  const Cut cut(extents);
  const Tensor scratch = Tensor::empty({cut.floats()}, DType::f32, Tag::workspace, Device());
  const auto way = cut.shared      ? multiply_shared<Left, Right, Target>
                   : cut.parts > 1 ? multiply_parts<Left, Right, Target>
                                   : multiply_apart<Left, Right, Target>;
  way(cut, left, right, bias, add, target, scratch.data<float>());
}

}  // namespace pal::blocked
