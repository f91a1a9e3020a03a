#pragma once
#include "runtime/communicator/communicator.h"

namespace pal {

/// Exchanges tensors of any device through the host, by a communicator for tensors there: slow, but
/// it needs no library between GPUs, and ranks may share one. Calls return when they are done.
class StagedCommunicator : public Communicator {
 public:
  /// Keeps a reference to `host`.
  explicit StagedCommunicator(Communicator& host)
      : Communicator(host.rank(), host.size()), host_(host) {}

  void all_reduce(const Tensor& values) override {
    const Tensor staged = values.to(Device());
    host_.all_reduce(staged);
    if (staged.raw() != values.raw()) values.copy_from(staged);
  }
  void all_gather(const Tensor& mine, const Tensor& all) override {
    const Tensor staged = Tensor::empty(all.shape(), all.dtype(), Tag::workspace, Device());
    host_.all_gather(mine.to(Device()), staged);
    all.copy_from(staged);
  }
  void broadcast(const Tensor& values, int root) override {
    const Tensor staged = values.to(Device());
    host_.broadcast(staged, root);
    if (staged.raw() != values.raw()) values.copy_from(staged);
  }
  void start_all_reduce(const Tensor& values) override { all_reduce(values); }
  void finish() override {}
  void expect_alive() override { host_.expect_alive(); }

 private:
  Communicator& host_;
};

}  // namespace pal
