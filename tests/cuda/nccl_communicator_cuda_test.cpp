#include "runtime/communicator/nccl_communicator.h"

#include <gtest/gtest.h>

#include "runtime/communicator/nccl_library.h"
#include "runtime/cuda_graph.h"
#include "tests/cuda/parity.h"

// One rank alone: on a GPU, or in the emulator.
namespace pal {
namespace {

using test::gpu;
using testing::expect_error;
using testing::random_tensor;

class NcclAlone : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      nccl_ = std::make_unique<NcclCommunicator>(single_);
    } catch (const Error& error) {
      GTEST_SKIP() << error.what();
    }
  }

  SingleCommunicator single_;
  std::unique_ptr<NcclCommunicator> nccl_;
};

TEST_F(NcclAlone, SaysItsVersion) { EXPECT_EQ(nccl_version().substr(0, 2), "2."); }

TEST_F(NcclAlone, LeavesBitsAsTheyAre) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    const Tensor wanted = random_tensor({1001}, DType::f32, 1).to(dtype);
    const Tensor values = test::on_gpu(wanted);
    const Tensor gathered = Tensor::zeros({1, 1001}, dtype, Tag::data, gpu());
    nccl_->all_reduce(values);
    nccl_->start_all_reduce(values.view_at(1, {999}));
    nccl_->start_all_reduce(values.view_at(1000, {1}));
    nccl_->finish();
    nccl_->broadcast(values, 0);
    nccl_->all_gather(values, gathered);
    test::expect_same(wanted, values, name_of(dtype));
    test::expect_same(wanted, gathered.reshape({1001}), name_of(dtype));
  }
}

TEST_F(NcclAlone, IsPartOfGraphs) {
  const Tensor source = test::on_gpu(random_tensor({300}, DType::f32, 2));
  const Tensor values = source.clone(Tag::gradients);
  const Tensor result = source.clone(Tag::data);
  const auto step = [&] {
    values.copy_from(source);
    nccl_->start_all_reduce(values.view_at(100, {200}));
    nccl_->start_all_reduce(values.view_at(0, {100}));
    nccl_->finish();
    result.copy_from(values);
  };
  step();
  CudaGraph graph;
  graph.capture(step);
  for (int i = 0; i < 3; ++i) {
    source.copy_from(random_tensor({300}, DType::f32, static_cast<uint64_t>(10 + i)));
    graph.launch();
    test::expect_same(source, result, "launch");
  }
  // What a recording that failed had started is forgotten.
  expect_error(ErrorKind::failure, "stop", [&] {
    graph.capture([&] {
      nccl_->start_all_reduce(values);
      fail(ErrorKind::failure, "stop");
    });
  });
  step();
  test::expect_same(source, result, "after a recording that failed");
  graph.reset();
}

TEST_F(NcclAlone, RefusesWhatItCannotDo) {
  const Tensor values = Tensor::zeros({4, 4}, DType::f32, Tag::data, gpu());
  expect_error(ErrorKind::usage, "no sums of u8",
               [&] { nccl_->all_reduce(Tensor::zeros({4}, DType::u8, Tag::data, gpu())); });
  expect_error(ErrorKind::usage, "a dense tensor on a GPU",
               [&] { nccl_->all_reduce(Tensor::zeros({4})); });
  expect_error(ErrorKind::usage, "a dense tensor on a GPU",
               [&] { nccl_->broadcast(values.slice_channels(1, 2), 0); });
  expect_error(ErrorKind::usage, "expected 16 elements of f32",
               [&] { nccl_->all_gather(values, values.slice_batch(0, 2)); });
  nccl_->start_all_reduce(values);
  CudaGraph graph;
  expect_error(ErrorKind::usage, "before a recording are not finished",
               [&] { graph.capture([&] { nccl_->start_all_reduce(values); }); });
  nccl_->finish();
}

TEST_F(NcclAlone, GivesUpForGood) {
  const Tensor values = Tensor::zeros({4}, DType::f32, Tag::data, gpu());
  cuda::Event event;
  nccl_->all_reduce(values);
  event.record();
  nccl_->wait(event);
  nccl_->abort();
  nccl_->abort();
  expect_error(ErrorKind::peer, "given up", [&] { nccl_->expect_alive(); });
  expect_error(ErrorKind::peer, "given up", [&] { nccl_->wait(event); });
  expect_error(ErrorKind::peer, "ncclAllReduce", [&] { nccl_->all_reduce(values); });
}

}  // namespace
}  // namespace pal
