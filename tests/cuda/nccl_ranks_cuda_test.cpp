#ifdef PAL_EMULATE_CUDA

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "runtime/communicator/nccl_communicator.h"
#include "runtime/cuda_graph.h"
#include "runtime/launch.cuh"
#include "tests/cuda/late_streams.h"
#include "tests/cuda/parity.h"
#include "tests/support/thread_ranks.h"

// Several ranks, as threads with an emulated GPU each.
namespace pal {
namespace {

using test::gpu;
using test::LateStreams;
using testing::expect_error;
using testing::random_tensor;

constexpr auto kCompute = cuda::Stream::compute;
constexpr auto kCommunication = cuda::Stream::communication;

/// As many emulated GPUs while it lives.
class Gpus {
 public:
  explicit Gpus(int count) { emulator::set_device_count(count); }
  ~Gpus() { emulator::set_device_count(1); }
  Gpus(const Gpus&) = delete;
  Gpus& operator=(const Gpus&) = delete;
};

/// body(host) in a thread for each rank, with a GPU of its own.
void on_gpus(int size, const std::function<void(Communicator&)>& body) {
  const Gpus gpus(size);
  testing::on_ranks(size, [&](Communicator& host) {
    const cuda::ThreadDevice device(host.rank());
    body(host);
  });
}

Tensor values_of(int rank, int64_t count, DType dtype, uint64_t key = 0) {
  return random_tensor({count}, DType::f64, 100 * key + static_cast<uint64_t>(rank)).to(dtype);
}

/// The sums of bf16 that the ranks' order gives, each partial sum rounded.
Tensor bf16_sums(int size, int64_t count) {
  const Tensor sum = values_of(0, count, DType::bf16);
  for (int r = 1; r < size; ++r) {
    const Tensor next = values_of(r, count, DType::bf16);
    for (int64_t i = 0; i < count; ++i)
      sum.data<bfloat16>()[i] = bfloat16(static_cast<float>(sum.data<bfloat16>()[i]) +
                                         static_cast<float>(next.data<bfloat16>()[i]));
  }
  return sum;
}

TEST(NcclRanks, SumsEqualThoseOfThreads) {
  for (const int size : {1, 2, 3})
    on_gpus(size, [&](Communicator& host) {
      NcclCommunicator nccl(host);
      EXPECT_EQ(nccl.rank(), host.rank());
      for (const DType dtype : {DType::f32, DType::f64, DType::bf16})
        // The last is more than the stand-in exchanges at once.
        for (const int64_t count : {1, 7, dtype == DType::f32 ? 70000 : 300}) {
          const Tensor wanted = values_of(host.rank(), count, dtype);
          const Tensor values = test::on_gpu(wanted);
          nccl.all_reduce(values);
          if (dtype == DType::bf16)
            wanted.copy_from(bf16_sums(size, count));
          else
            host.all_reduce(wanted);
          test::expect_same(wanted, values, name_of(dtype));
        }
    });
}

TEST(NcclRanks, GathersAndBroadcastsEqualThoseOfThreads) {
  on_gpus(3, [](Communicator& host) {
    NcclCommunicator nccl(host);
    for (const DType dtype : {DType::f32, DType::u8}) {
      const Tensor mine = Tensor::empty({5}, dtype);
      mine.fill(host.rank() + 1);
      const Tensor wanted = Tensor::empty({3, 5}, dtype);
      const Tensor found = Tensor::zeros({3, 5}, dtype, Tag::data, gpu());
      host.all_gather(mine, wanted);
      nccl.all_gather(test::on_gpu(mine), found);
      test::expect_same(wanted, found, "all_gather");
      for (int root = 0; root < 3; ++root) {
        const Tensor values = test::on_gpu(mine);
        nccl.broadcast(values, root);
        test::expect_same(wanted.slice_batch(root, 1).reshape({5}), values, "broadcast");
      }
    }
  });
}

/// A flat buffer of gradients, and steps that complete its buckets from the last to the first, as a
/// backward pass does, and reduce each as soon as it is complete.
class Backward {
 public:
  static constexpr int kBuckets = 3;
  static constexpr int64_t kCount = 50;

  Backward(Communicator& host, NcclCommunicator& nccl) : host_(host), nccl_(nccl) {}

  /// Asks for a step. `swapped` reduces two buckets in the wrong order.
  void step(bool swapped = false) const {
    for (int b = kBuckets; b-- > 0;) {
      bucket(gradients_, b).copy_from(bucket(source_, b));
      if (swapped && b == 1) continue;
      nccl_.start_all_reduce(bucket(gradients_, b));
      if (swapped && b == 0) nccl_.start_all_reduce(bucket(gradients_, 1));
    }
    nccl_.finish();
    result_.copy_from(gradients_);
  }
  /// Sets what the passes give from here on.
  void set(uint64_t key) const {
    source_.copy_from(values_of(host_.rank(), kBuckets * kCount, DType::f32, key));
  }
  Tensor result() const { return test::on_cpu(result_); }
  Tensor wanted(uint64_t key) const {
    const Tensor sums = values_of(host_.rank(), kBuckets * kCount, DType::f32, key);
    host_.all_reduce(sums);
    return sums;
  }

 private:
  static Tensor bucket(const Tensor& all, int b) { return all.view_at(b * kCount, {kCount}); }
  static Tensor buffer() {
    return Tensor::zeros({kBuckets * kCount}, DType::f32, Tag::gradients, gpu());
  }

  Communicator& host_;
  NcclCommunicator& nccl_;
  Tensor source_ = buffer();
  Tensor gradients_ = buffer();
  Tensor result_ = buffer();
};

/// What a device may do first: streams that do their work only when asked to, and whether that for
/// communication is asked first.
struct Schedule {
  std::vector<cuda::Stream> late;
  bool communication_first = false;
};
std::vector<Schedule> schedules() {
  std::vector<Schedule> all;
  for (const bool first : {false, true})
    for (const auto& late : std::vector<std::vector<cuda::Stream>>{
             {}, {kCompute}, {kCommunication}, {kCompute, kCommunication}})
      all.push_back({late, first});
  return all;
}

/// How many of all schedules give right sums after two steps in a row; `spoil` is called before
/// the second.
int right_schedules(Communicator& host, bool swapped, const std::function<void()>& spoil) {
  NcclCommunicator nccl(host);
  const Backward backward(host, nccl);
  int right = 0;
  for (const Schedule& schedule : schedules()) {
    for (const uint64_t key : {1, 2}) {
      backward.set(key);
      cuda::synchronize();
      const LateStreams scope(schedule.late);
      if (key == 2) spoil();
      backward.step(swapped);
      if (schedule.communication_first)
        PAL_CUDA_CHECK(cudaStreamSynchronize(cuda::stream(kCommunication)));
    }
    const Tensor found = backward.result();
    const Tensor wanted = backward.wanted(2);
    const bool same =
        std::memcmp(found.raw(), wanted.raw(), static_cast<size_t>(found.bytes())) == 0;
    right += any_rank(host, !same) ? 0 : 1;
  }
  return right;
}

TEST(NcclRanks, BucketsAreReducedWhileOthersAreMade) {
  for (const int size : {2, 3})
    on_gpus(size, [](Communicator& host) {
      EXPECT_EQ(right_schedules(host, false, [] {}), static_cast<int>(schedules().size()));
    });
}

// The waits of a step: one before each bucket's sum, and the one of finish().
TEST(NcclRanks, AnyWaitThatIsMissingShows) {
  for (int wait = 0; wait < Backward::kBuckets + 1; ++wait)
    on_gpus(2, [&](Communicator& host) {
      const auto omit = [&] {
        if (host.rank() == 1) emulator::omit_wait(wait);
      };
      EXPECT_LT(right_schedules(host, false, omit), static_cast<int>(schedules().size()))
          << "wait " << wait;
    });
}

TEST(NcclRanks, BucketsInAnotherOrderShow) {
  on_gpus(2,
          [](Communicator& host) { EXPECT_EQ(right_schedules(host, host.rank() == 1, [] {}), 0); });
  // Of different sizes they are not even summed.
  const auto unequal = [](Communicator& host) {
    NcclCommunicator nccl(host);
    const Tensor values = Tensor::zeros({30}, DType::f32, Tag::gradients, gpu());
    nccl.start_all_reduce(values.view_at(0, {host.rank() == 1 ? 10 : 20}));
    nccl.finish();
    cuda::synchronize();
  };
  EXPECT_THROW(on_gpus(2, unequal), emulator::Fault);
}

TEST(NcclRanks, GraphsReduceInEachLaunch) {
  on_gpus(2, [](Communicator& host) {
    NcclCommunicator nccl(host);
    const Backward backward(host, nccl);
    backward.step();
    CudaGraph graph;
    graph.capture([&] { backward.step(); });
    EXPECT_EQ(graph.nodes(), 2 * Backward::kBuckets + 1);
    for (const Schedule& schedule : schedules())
      for (const uint64_t key : {1, 2, 3}) {
        backward.set(key);
        cuda::synchronize();
        {
          const LateStreams scope(schedule.late);
          graph.launch();
        }
        test::expect_same(backward.wanted(key), backward.result(), "launch");
      }
    // finish() without its wait leaves the recording open.
    expect_error(ErrorKind::failure, "unjoined work", [&] {
      emulator::omit_wait(Backward::kBuckets);
      graph.capture([&] { backward.step(); });
    });
    backward.step();
    test::expect_same(backward.wanted(3), backward.result(), "after a recording that failed");
  });
}

/// A sum that lasts until rank 1 takes part, which it does not; asked for without waiting.
void ask_in_vain(NcclCommunicator& nccl, const Tensor& values, cuda::Event& event) {
  nccl.start_all_reduce(values);
  nccl.finish();
  event.record();
}

TEST(NcclRanks, ARankThatIsKnownToBeLostEndsAWait) {
  on_gpus(2, [](Communicator& host) {
    std::atomic<bool> lost = false;
    const auto check = [&] {
      if (lost) fail(ErrorKind::peer, "rank 1 (machine, 7) lost at step 3: killed");
    };
    NcclCommunicator nccl(host, {.check_peers = check});
    const Tensor values = Tensor::zeros({8}, DType::f32, Tag::gradients, gpu());
    nccl.all_reduce(values);
    cuda::synchronize();
    if (host.rank() == 0) {
      const LateStreams scope({kCompute});
      cuda::Event event;
      ask_in_vain(nccl, values, event);
      const std::jthread heartbeat([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        lost = true;
      });
      expect_error(ErrorKind::peer, "rank 1 (machine, 7)", [&] { nccl.wait(event); });
      expect_error(ErrorKind::peer, "rank 1 (machine, 7)", [&] { nccl.expect_alive(); });
    }
    any_rank(host, false);
    // The other one is not told by its heartbeat, but by NCCL.
    if (host.rank() == 1)
      expect_error(ErrorKind::peer, "remote process exited", [&] { nccl.expect_alive(); });
  });
}

TEST(NcclRanks, AnAbortFreesARankThatWaitsForItsDevice) {
  on_gpus(2, [](Communicator& host) {
    NcclCommunicator nccl(host);
    const Tensor values = Tensor::zeros({8}, DType::f32, Tag::gradients, gpu());
    nccl.all_reduce(values);
    cuda::synchronize();
    if (host.rank() == 0) {
      const std::jthread watch([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        nccl.abort();
      });
      cuda::Event event;
      // Here the host waits already, as the emulated stream for computing does its work at once.
      ask_in_vain(nccl, values, event);
      cuda::synchronize();
      expect_error(ErrorKind::peer, "given up", [&] { nccl.expect_alive(); });
    }
    any_rank(host, false);
    if (host.rank() == 1) nccl.abort();
  });
}

TEST(NcclRanks, ARankThatLeavesByAnExceptionEndsTheOthers) {
  on_gpus(2, [](Communicator& host) {
    const auto run = [&] {
      NcclCommunicator nccl(host);
      const Tensor values = Tensor::zeros({8}, DType::f32, Tag::gradients, gpu());
      nccl.all_reduce(values);
      cuda::synchronize();
      if (host.rank() == 1) fail(ErrorKind::data, "a bad image");
      const LateStreams scope({kCompute});
      cuda::Event event;
      ask_in_vain(nccl, values, event);
      nccl.wait(event);
    };
    if (host.rank() == 1)
      expect_error(ErrorKind::data, "a bad image", run);
    else
      expect_error(ErrorKind::peer, "remote process exited", run);
  });
}

TEST(NcclRanks, RanksThatDoNotComeAreNotWaitedForForever) {
  on_gpus(2, [](Communicator& host) {
    if (host.rank() == 1) {
      // Takes part in the host's exchanges only.
      any_rank(host, false);
      host.broadcast(Tensor::empty({128}, DType::u8), 0);
      return;
    }
    expect_error(ErrorKind::peer, "not all ranks have come within 0.05 s", [&] {
      NcclCommunicator nccl(host, {.meeting_time = std::chrono::milliseconds(50)});
    });
  });
}

}  // namespace
}  // namespace pal

#endif  // PAL_EMULATE_CUDA
