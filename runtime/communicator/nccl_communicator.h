#pragma once
#include <chrono>
#include <functional>
#include <memory>

#include "runtime/communicator/communicator.h"
#include "runtime/cuda.h"

namespace pal {

struct NcclOptions {
  /// Called often by the thread that waits for other ranks; throws peer if one is known to be
  /// lost.
  std::function<void()> check_peers = [] {};
  /// How long the ranks may take to meet.
  std::chrono::milliseconds meeting_time{60'000};
};

/// Exchanges of tensors on the ranks' GPUs, by NVIDIA's NCCL (nccl_library.h): one rank a GPU. They
/// have a stream of their own, Stream::communication; all they share with the stream for computing
/// is handed over by events, and the memory of sums that were started is held until finish(), so
/// that the Allocator gives it to nobody meanwhile.
///
/// Its calls may be part of a recorded graph, if like ones were made before (NCCL connects the
/// ranks at first use); each recording finishes what it starts, and must be gone before the
/// communicator. Runs with as many ranks on the same machines have the same bits: only rings are
/// used, unless NCCL_ALGO in the environment says otherwise.
///
/// NCCL does not notice a rank that is gone, but on some networks: a wait for the device would last
/// forever. So whoever waits asks expect_alive() again and again, as wait() does, or another thread
/// calls abort(). After that every call throws peer, what was asked for has unknown results, and
/// recorded graphs with calls of it must not be launched.
///
/// For one thread, but abort() for any.
class NcclCommunicator : public Communicator {
 public:
  /// Meets the other ranks, which are those of `host`; it exchanges tensors on the CPU. Throws
  /// environment on all ranks if one lacks NCCL, and peer if not all come.
  explicit NcclCommunicator(Communicator& host, NcclOptions options = {});
  /// Lets the others have what they still need of this rank; during an exception, aborts.
  ~NcclCommunicator() override;

  void all_reduce(const Tensor& values) override;
  void all_gather(const Tensor& mine, const Tensor& all) override;
  void broadcast(const Tensor& values, int root) override;
  void start_all_reduce(const Tensor& values) override;
  void finish() override;
  bool in_graphs() const override { return true; }

  /// Also calls abort() before it throws. Lost is what NCCL or options.check_peers say.
  void expect_alive() override;
  /// Waits until the device has passed the event, in place of Event::wait; throws as expect_alive
  /// does.
  void wait(const cuda::Event& event);
  /// Ends whatever the GPU waits for, so that its memory and streams are free.
  void abort() noexcept override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pal
