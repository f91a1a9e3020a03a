#pragma once
#include <condition_variable>
#include <cstring>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/communicator/communicator.h"
#include "runtime/error.h"

namespace pal::testing {

/// The ranks of one run as threads of a test, which exchange tensors on the CPU.
class ThreadRanks {
 public:
  explicit ThreadRanks(int size) : size_(size), given_(static_cast<size_t>(size)) {}

  /// Waits for all ranks, then calls take(their tensors, by rank), then waits for all again.
  template <typename Take>
  void exchange(int rank, const Tensor& tensor, Take&& take) {
    given_[static_cast<size_t>(rank)] = tensor;
    wait();
    take(given_);
    wait();
  }

 private:
  void wait() {
    std::unique_lock lock(mutex_);
    const int64_t round = round_;
    if (++arrived_ == size_) {
      arrived_ = 0;
      ++round_;
      changed_.notify_all();
    }
    changed_.wait(lock, [&] { return round_ != round; });
  }

  const int size_;
  std::vector<Tensor> given_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int arrived_ = 0;
  int64_t round_ = 0;
};

/// One of them. Sums are made in the order of the ranks, those that were started when they start.
class ThreadCommunicator : public Communicator {
 public:
  ThreadCommunicator(ThreadRanks& ranks, int rank, int size)
      : Communicator(rank, size), ranks_(ranks) {}

  void all_reduce(const Tensor& values) override {
    Tensor sum;
    const auto add = [&](const std::vector<Tensor>& all) {
      sum = all[0].clone(Tag::workspace);
      for (size_t r = 1; r < all.size(); ++r) add_to(sum, all[r]);
    };
    ranks_.exchange(rank(), values, add);
    values.copy_from(sum);
  }
  void all_gather(const Tensor& mine, const Tensor& all) override {
    ranks_.exchange(rank(), mine, [&](const std::vector<Tensor>& given) {
      for (size_t r = 0; r < given.size(); ++r)
        std::memcpy(static_cast<char*>(all.raw()) + static_cast<int64_t>(r) * mine.bytes(),
                    given[r].raw(), static_cast<size_t>(mine.bytes()));
    });
  }
  void broadcast(const Tensor& values, int root) override {
    Tensor from;
    ranks_.exchange(rank(), values, [&](const std::vector<Tensor>& given) {
      from = given[static_cast<size_t>(root)].clone(Tag::workspace);
    });
    values.copy_from(from);
  }
  void start_all_reduce(const Tensor& values) override { all_reduce(values); }
  void finish() override {}

 private:
  template <typename T>
  static void add_values(const Tensor& sum, const Tensor& other) {
    for (int64_t i = 0; i < sum.numel(); ++i)
      sum.data<T>()[i] = static_cast<T>(sum.data<T>()[i] + other.data<T>()[i]);
  }
  static void add_to(const Tensor& sum, const Tensor& other) {
    if (sum.dtype() == DType::f32) return add_values<float>(sum, other);
    if (sum.dtype() == DType::f64) return add_values<double>(sum, other);
    fail(ErrorKind::usage, "ThreadCommunicator: no sums of {}", name_of(sum.dtype()));
  }

  ThreadRanks& ranks_;
};

/// Runs body(communicator) in `size` threads, one for each rank; rethrows the first error. An error
/// of one rank alone leaves the others waiting, so bodies should throw alike or not at all.
inline void on_ranks(int size, const std::function<void(Communicator&)>& body) {
  ThreadRanks ranks(size);
  std::vector<std::exception_ptr> errors(static_cast<size_t>(size));
  {
    std::vector<std::jthread> threads;
    for (int r = 0; r < size; ++r)
      threads.emplace_back([&, r] {
        try {
          ThreadCommunicator communicator(ranks, r, size);
          body(communicator);
        } catch (...) {
          errors[static_cast<size_t>(r)] = std::current_exception();
        }
      });
  }
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

}  // namespace pal::testing
