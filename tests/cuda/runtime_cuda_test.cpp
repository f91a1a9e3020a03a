// Memory, copies, the allocator and graphs of the GPU.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/arrays/elementwise.h"
#include "runtime/cuda.h"
#include "runtime/cuda_graph.h"
#include "runtime/readback.h"
#include "tests/cuda/parity.h"
#include "tests/support/numeric.h"
#ifdef PAL_EMULATE_CUDA
#include "tests/emulator/cuda_emulator.h"
#endif

namespace pal::test {
namespace {

using testing::expect_error;

TEST(CudaTensor, CopiesBetweenDevicesWhateverThePitch) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64})
    for (const int64_t channels : {1, 3, 4, 8, 37}) {
      const Tensor values = random_tensor({3, 2, 5, channels}, dtype, 1);
      const std::string what = std::string(name_of(dtype)) + " " + std::to_string(channels);
      expect_same(values, on_gpu(values), what);
      for (const int64_t begin : {0, 1, 4}) {
        const Tensor slice = gpu_slice(values, begin, 3);
        expect_same(values, slice, what);
        // On the device: slice to dense, dense to slice.
        const Tensor dense = slice.clone();
        expect_same(values, dense, what);
        const Tensor again = gpu_slice(Tensor::zeros(values.shape(), dtype), begin, 1);
        again.copy_from(dense);
        expect_same(values, again, what);
      }
    }
}

TEST(CudaTensor, FillsSlicesOnly) {
  const Tensor wide = Tensor::zeros({5, 7}, DType::f32, Tag::data, gpu());
  wide.slice_channels(2, 3).fill(1.5);
  const Tensor host = on_cpu(wide);
  for (int64_t row = 0; row < 5; ++row)
    for (int64_t c = 0; c < 7; ++c)
      EXPECT_EQ(host.data<float>()[row * 7 + c], c >= 2 && c < 5 ? 1.5F : 0.0F);
  wide.zero();
  EXPECT_EQ(on_cpu(wide).data<float>()[10], 0.0F);
}

TEST(CudaTensor, HasTheDeviceOfTheScope) {
  EXPECT_TRUE(Tensor::empty({1}).device().is_cpu());
  const DeviceScope scope(gpu());
  const Tensor tensor = Tensor::zeros({2}, DType::f64);
  EXPECT_EQ(tensor.device(), gpu());
  EXPECT_EQ(tensor.item(1), 0.0);
  EXPECT_EQ(tensor.slice_batch(1, 1).device(), gpu());
  EXPECT_EQ(tensor.device().str(), "cuda:0");
}

TEST(CudaAllocator, CountsByTagAndKeepsTheLimit) {
  Allocator& allocator = Allocator::of(gpu());
  allocator.reset_peaks();
  const MemoryStats before = allocator.stats();
  {
    const Tensor stream = Tensor::empty({1000}, DType::f32, Tag::stream, gpu());
    const Tensor subnet = Tensor::empty({64}, DType::u8, Tag::subnet, gpu());
    const MemoryStats during = allocator.stats();
    EXPECT_EQ(during.current_of(Tag::stream) - before.current_of(Tag::stream), 4032);
    EXPECT_EQ(during.current_of(Tag::subnet) - before.current_of(Tag::subnet), 64);
    EXPECT_GE(during.peak_activations, 4096);
  }
  EXPECT_EQ(allocator.stats().current_total, before.current_total);
  allocator.set_limit(before.current_total + 1024);
  expect_error(ErrorKind::environment,
               "memory-limit: ", [] { Tensor::empty({2000}, DType::u8, Tag::data, gpu()); });
  allocator.set_limit(0);
}

TEST(CudaAllocator, PoolsKeepTheirBlocksApart) {
  Allocator::Pool pool(gpu());
  void* inside = nullptr;
  {
    const Allocator::PoolScope scope(pool);
    inside = Tensor::empty({4096}, DType::u8, Tag::workspace, gpu()).raw();
    EXPECT_GE(pool.reserved(), 4096);
    // The pool's own free block is used again, by nobody else.
    EXPECT_EQ(Tensor::empty({4096}, DType::u8, Tag::workspace, gpu()).raw(), inside);
  }
  EXPECT_NE(Tensor::empty({4096}, DType::u8, Tag::workspace, gpu()).raw(), inside);
  Tensor survivor;
  {
    Allocator::Pool brief(gpu());
    const Allocator::PoolScope scope(brief);
    survivor = Tensor::zeros({8}, DType::f64, Tag::workspace, gpu());
  }
  EXPECT_EQ(survivor.item(7), 0.0);
}

TEST(CudaReadback, ArrivesInOrder) {
  Readback readback(2, gpu());
  const Tensor value = Tensor::zeros({2}, DType::f64, Tag::data, gpu());
  for (int i = 0; i < 7; ++i) {
    value.fill(i);
    readback.start(value);
    if (readback.pending() < Readback::kDepth) continue;
    EXPECT_EQ(readback.take(), std::vector<double>(2, i + 1 - Readback::kDepth));
  }
  EXPECT_EQ(readback.take()[0], 5.0);
  EXPECT_EQ(readback.take()[0], 6.0);
  expect_error(ErrorKind::usage, "no copy is pending", [&] { readback.take(); });
}

TEST(CudaGraph, RepeatsWhatItRecorded) {
  const Tensor source = Tensor::zeros({100}, DType::f32, Tag::data, gpu());
  const Tensor target = Tensor::zeros({100}, DType::f32, Tag::data, gpu());
  source.fill(1.0);
  Allocator::Pool pool(gpu());
  CudaGraph graph;
  {
    const Allocator::PoolScope scope(pool);
    graph.capture([&] {
      const Tensor copy = source.clone();
      cuda::axpy(2.0, copy, target);
    });
  }
  EXPECT_EQ(on_cpu(target).data<float>()[99], 0.0F);
  for (int i = 0; i < 3; ++i) graph.launch();
  EXPECT_EQ(on_cpu(target).data<float>()[99], 6.0F);
  source.fill(10.0);
  graph.launch();
  EXPECT_EQ(on_cpu(target).data<float>()[0], 26.0F);
  EXPECT_THROW(graph.capture([] { fail(ErrorKind::usage, "stop"); }), Error);
  EXPECT_FALSE(graph.captured());
  // The stream is usable again.
  target.fill(3.0);
  EXPECT_EQ(on_cpu(target).data<float>()[5], 3.0F);
}

TEST(CudaDevice, DescribesItself) {
  const cuda::DeviceInfo info = cuda::device_info();
  EXPECT_FALSE(info.name.empty());
  EXPECT_GE(info.major, 8);
  EXPECT_GT(info.memory, int64_t{1} << 28);
  EXPECT_GE(cuda::device_count(), 1);
}

TEST(CudaDevice, SaysWhatIsMissing) {
  expect_error(ErrorKind::environment, "cuda:99", [] { parse_device("cuda:99"); });
  expect_error(ErrorKind::usage, "device: ", [] { parse_device("cuda:x"); });
  expect_error(ErrorKind::usage, "device: ", [] { parse_device("gpu"); });
  EXPECT_EQ(parse_device("cuda"), gpu());
  EXPECT_EQ(parse_device("cuda:0"), gpu());
}

#ifdef PAL_EMULATE_CUDA
TEST(CudaAllocator, SaysWhenTheDeviceIsFull) {
  cuda::use(0);
  emulator::set_memory_limit(emulator::device_bytes() + 100000);
  expect_error(ErrorKind::environment, "the GPU refused",
               [] { Tensor::empty({1000000}, DType::u8, Tag::data, gpu()); });
  emulator::set_memory_limit(0);
  EXPECT_NO_THROW(Tensor::empty({1000000}, DType::u8, Tag::data, gpu()));
}
#endif

}  // namespace
}  // namespace pal::test
