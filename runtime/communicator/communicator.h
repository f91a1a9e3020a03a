#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/tensor.h"

namespace pal {

/// Sums and exchanges of tensors between the ranks of a run: processes, numbered from 0, that train
/// or evaluate one model together. All ranks make the same calls in the same order, with tensors of
/// equal shapes and dtypes. Results have the same bits on all ranks; the order of a sum depends on
/// the number of ranks alone. On a GPU calls take their place in the order of its stream and return
/// at once; else they return when they are done. Throws Error (peer) where a rank was lost.
class Communicator {
 public:
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }

  /// Replaces the values by their sums over all ranks: dense, in f32, f64 or bf16 (whose partial
  /// sums are rounded).
  virtual void all_reduce(const Tensor& values) = 0;
  /// Overwrites `all` with the ranks' `mine` one after another: both dense and of one dtype, `all`
  /// of size() times as many elements.
  virtual void all_gather(const Tensor& mine, const Tensor& all) = 0;
  /// Overwrites the dense values with those of rank `root`.
  virtual void broadcast(const Tensor& values, int root) = 0;

  /// all_reduce of values that are complete where the stream is now, beside what is asked for
  /// later. Sums that were started are done in their order; until finish() nobody may touch the
  /// values.
  virtual void start_all_reduce(const Tensor& values) = 0;
  /// What comes after this sees all sums that were started.
  virtual void finish() = 0;
  /// Throws peer if a rank is known to be lost; for who waits for the device, which may wait for
  /// ever. Returns at once.
  virtual void expect_alive() {}
  /// Gives up: ranks that wait for this one get an error, and nothing may be asked of it any more.
  /// Called from any thread.
  virtual void abort() {}
  /// Whether its calls can be part of a recorded graph.
  virtual bool in_graphs() const { return false; }

 protected:
  Communicator(int rank, int size) : rank_(rank), size_(size) {}

 private:
  int rank_;
  int size_;
};

/// One process alone: sums are what they are.
class SingleCommunicator : public Communicator {
 public:
  SingleCommunicator() : Communicator(0, 1) {}
  void all_reduce(const Tensor&) override {}
  void all_gather(const Tensor& mine, const Tensor& all) override {
    all.reshape(mine.shape()).copy_from(mine);
  }
  void broadcast(const Tensor&, int) override {}
  void start_all_reduce(const Tensor&) override {}
  void finish() override {}
  bool in_graphs() const override { return true; }
};

/// The bytes of all ranks, by rank, which may differ in number. `host` exchanges tensors on the
/// CPU.
std::vector<std::vector<uint8_t>> all_gather_bytes(Communicator& host,
                                                   std::span<const uint8_t> mine);

/// The texts of all ranks, by rank. `host` as above.
std::vector<std::string> all_gather_texts(Communicator& host, std::string_view mine);

/// The largest of all ranks' numbers, for each of them. `host` as above.
std::vector<double> max_over_ranks(Communicator& host, std::vector<double> mine);

/// The sum over all ranks, and whether any of them says so. `host` as above.
double sum_over_ranks(Communicator& host, double mine);
inline bool any_rank(Communicator& host, bool mine) {
  return sum_over_ranks(host, mine ? 1.0 : 0.0) > 0.0;
}

}  // namespace pal
