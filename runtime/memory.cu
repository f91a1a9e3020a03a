// Filling and pitched copies on the GPU, below all kernels.
#include <cstring>

#include "runtime/cuda.h"
#include "runtime/launch.cuh"

namespace pal::cuda {
namespace {

constexpr int kThreads = 256;
#ifdef PAL_EMULATE_CUDA
constexpr int64_t kMaxBlocks = 4;
#else
// 16 blocks of 256 threads for each of some 130 multiprocessors: enough to fill any GPU.
constexpr int64_t kMaxBlocks = 2112;
#endif
int64_t block_limit = kMaxBlocks;

template <typename Word>
__global__ void fill_kernel(Word* to, int64_t pitch, int64_t columns, int64_t count, Word value) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += step)
    to[i / columns * pitch + i % columns] = value;
}

/// Words of a row in consecutive threads: rows are too short for the copy engine to be quick.
template <typename Word>
__global__ void copy_rows_kernel(Word* to, int64_t to_pitch, const Word* from, int64_t from_pitch,
                                 int64_t columns, int64_t count) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += step) {
    const int64_t row = i / columns;
    const int64_t column = i - row * columns;
    to[row * to_pitch + column] = from[row * from_pitch + column];
  }
}

template <typename Word>
void fill_words(void* to, int64_t pitch, int64_t columns, int64_t rows, const void* value) {
  Word word;
  std::memcpy(&word, value, sizeof word);
  const int64_t count = columns * rows;
  if (count == 0) return;
  launch(fill_kernel<Word>, grid_for(count, kThreads), kThreads, 0, stream(),
         static_cast<Word*>(to), pitch, columns, count, word);
}

template <typename Word>
bool copy_words(void* to, int64_t to_pitch, const void* from, int64_t from_pitch, int64_t row_bytes,
                int64_t rows) {
  constexpr auto kSize = static_cast<int64_t>(sizeof(Word));
  const auto fits = [](const void* p) {
    return reinterpret_cast<uintptr_t>(p) % sizeof(Word) == 0;
  };
  if (!fits(to) || !fits(from) || to_pitch % kSize != 0 || from_pitch % kSize != 0 ||
      row_bytes % kSize != 0)
    return false;
  const int64_t columns = row_bytes / kSize;
  launch(copy_rows_kernel<Word>, grid_for(columns * rows, kThreads), kThreads, 0, stream(),
         static_cast<Word*>(to), to_pitch / kSize, static_cast<const Word*>(from),
         from_pitch / kSize, columns, columns * rows);
  return true;
}

}  // namespace

int64_t max_blocks() { return block_limit; }
void set_max_blocks(int64_t blocks) { block_limit = blocks > 0 ? blocks : kMaxBlocks; }

void fill(void* to, int64_t pitch, int64_t columns, int64_t rows, const void* value, int64_t size) {
  static constexpr char kZeros[8] = {};
  if (rows == 1 && std::memcmp(value, kZeros, static_cast<size_t>(size)) == 0) {
    if (columns > 0)
      PAL_CUDA_CHECK(cudaMemsetAsync(to, 0, static_cast<size_t>(columns * size), stream()));
    return;
  }
  switch (size) {
    case 1:
      return fill_words<uint8_t>(to, pitch, columns, rows, value);
    case 2:
      return fill_words<uint16_t>(to, pitch, columns, rows, value);
    case 4:
      return fill_words<uint32_t>(to, pitch, columns, rows, value);
    default:
      return fill_words<uint64_t>(to, pitch, columns, rows, value);
  }
}

void copy_on_device(void* to, int64_t to_pitch, const void* from, int64_t from_pitch,
                    int64_t row_bytes, int64_t rows) {
  if (row_bytes == 0 || rows == 0) return;
  if (rows == 1) {
    PAL_CUDA_CHECK(cudaMemcpyAsync(to, from, static_cast<size_t>(row_bytes),
                                   cudaMemcpyDeviceToDevice, stream()));
    return;
  }
  if (copy_words<uint4>(to, to_pitch, from, from_pitch, row_bytes, rows)) return;
  if (copy_words<uint32_t>(to, to_pitch, from, from_pitch, row_bytes, rows)) return;
  if (copy_words<uint16_t>(to, to_pitch, from, from_pitch, row_bytes, rows)) return;
  copy_words<uint8_t>(to, to_pitch, from, from_pitch, row_bytes, rows);
}

}  // namespace pal::cuda
