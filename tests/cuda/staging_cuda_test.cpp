#include "runtime/staging.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "kernels/image/image.h"
#include "runtime/cuda_graph.h"
#include "tests/cuda/late_streams.h"
#include "tests/cuda/parity.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using test::gpu;
using test::LateStreams;
using testing::expect_error;

constexpr int kUploads = 4 * StagingRing::kDepth;

Tensor filled(int64_t bytes, int value) {
  const Tensor tensor = Tensor::empty({bytes}, DType::u8, Tag::data, Device());
  std::memset(tensor.raw(), value, static_cast<size_t>(bytes));
  return tensor;
}

TEST(StagingRing, TakesTurnsAndGrows) {
  StagingRing ring;
  std::vector<void*> buffers;
  std::vector<void*> blocks;
  for (int i = 0; i < 2 * StagingRing::kDepth; ++i) {
    buffers.push_back(ring.acquire(100));
    // Without a submission the buffer is still the caller's.
    EXPECT_EQ(ring.acquire(60), buffers.back());
    const Tensor sent = ring.send(100, gpu());
    EXPECT_EQ(sent.shape(), Shape{100});
    blocks.push_back(sent.raw());
    ring.submitted();
  }
  for (const auto& list : {buffers, blocks}) {
    EXPECT_EQ(std::set<void*>(list.begin(), list.end()).size(), size_t{StagingRing::kDepth});
    for (size_t i = 0; i < StagingRing::kDepth; ++i)
      EXPECT_EQ(list[i], list[i + StagingRing::kDepth]);
  }
  std::memset(ring.acquire(5000), 1, 5000);
  test::expect_same(filled(5000, 1), ring.send(5000, gpu()), "grown");
  ring.submitted();
}

TEST(StagingRing, NeverOverwritesWhatIsStillRead) {
  constexpr int64_t kBytes = 1 << 14;
  for (const auto& late : LateStreams::choices()) {
    StagingRing ring;
    std::vector<Tensor> arrived;
    for (int i = 0; i < kUploads; ++i)
      arrived.push_back(Tensor::empty({kBytes}, DType::u8, Tag::data, gpu()));
    {
      const LateStreams scope(late);
      for (int i = 0; i < kUploads; ++i) {
        std::memset(ring.acquire(kBytes), i, kBytes);
        arrived[static_cast<size_t>(i)].copy_from(ring.send(kBytes, gpu()));
        ring.submitted();
      }
    }
    for (int i = 0; i < kUploads; ++i)
      test::expect_same(filled(kBytes, i), arrived[static_cast<size_t>(i)],
                        "upload " + std::to_string(i));
  }
}

TEST(StagingRing, UploadsTensorsWhoseMemoryMayChange) {
  for (const auto& late : LateStreams::choices()) {
    StagingRing ring;
    const Tensor wide = Tensor::zeros({kUploads, 4, 3}, DType::f32, Tag::data, gpu());
    const Tensor source = Tensor::empty({4, 2}, DType::f32, Tag::data, Device());
    {
      const LateStreams scope(late);
      for (int i = 0; i < kUploads; ++i) {
        source.fill(i);
        ring.upload(source, wide.slice_batch(i, 1).reshape({4, 3}).slice_channels(1, 2));
      }
    }
    for (int i = 0; i < kUploads; ++i) {
      const Tensor found = test::on_cpu(wide.slice_batch(i, 1));
      EXPECT_EQ(found.data<float>()[3], 0.0F);
      EXPECT_EQ(found.data<float>()[4], static_cast<float>(i));
      EXPECT_EQ(found.data<float>()[5], static_cast<float>(i));
    }
  }
}

TEST(StagingRing, RefusesPoolsAndGraphs) {
  StagingRing ring;
  ring.acquire(64);
  {
    Allocator::Pool pool(gpu());
    const Allocator::PoolScope scope(pool);
    expect_error(ErrorKind::usage, "inside a PoolScope", [&] { ring.send(64, gpu()); });
  }
  CudaGraph graph;
  expect_error(ErrorKind::usage, "while a graph is captured",
               [&] { graph.capture([&] { ring.send(64, gpu()); }); });
  ring.send(64, gpu());
  ring.submitted();
}

TEST(ImageCuda, BatchesWaitForTheirUploadsAndUploadsForTheirReaders) {
  const Shape shape = {3, 4, 4, 3};
  const ImageNormalization plain = {{0, 0, 0}, {1, 1, 1}};
  const auto pixels = [&](int i) {
    return std::vector<uint8_t>(static_cast<size_t>(shape.numel()), static_cast<uint8_t>(i));
  };
  const std::vector<ImagePlacement> placements = {{.source = 0}, {.source = 2}, {.source = 1}};
  for (const auto& late : LateStreams::choices()) {
    std::vector<Tensor> found;
    for (int i = 0; i < kUploads; ++i)
      found.push_back(Tensor::zeros(shape, DType::f32, Tag::data, gpu()));
    {
      const LateStreams scope(late);
      for (int i = 0; i < kUploads; ++i)
        cuda::normalize_images(pixels(i), placements, plain, found[static_cast<size_t>(i)]);
    }
    for (int i = 0; i < kUploads; ++i) {
      const Tensor wanted = Tensor::empty(shape);
      cpu::normalize_images(pixels(i), placements, plain, wanted);
      test::expect_same(wanted, found[static_cast<size_t>(i)], "batch " + std::to_string(i));
    }
  }
}

}  // namespace
}  // namespace pal
