#include "runtime/communicator/gloo_communicator.h"

#include "runtime/error.h"
#include "runtime/profiler.h"

#ifdef PAL_GLOO
#include <gloo/allgather.h>
#include <gloo/allreduce.h>
#include <gloo/broadcast.h>
#include <gloo/config.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/store.h>
#include <gloo/transport/tcp/device.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#endif

namespace pal {

#ifndef PAL_GLOO

std::unique_ptr<Communicator> make_gloo_communicator(MemberLink&, int, int,
                                                     std::function<Error(const std::string&)>) {
  fail(
      ErrorKind::environment,
      "ranks: this build has no Gloo, so it knows one process alone; install libgloo-dev and build "
      "again");
}

std::string cpu_collectives() { return ""; }
std::string gloo_version() { return ""; }

#else

namespace {

/// Losses are noticed by the hub, long before this.
constexpr auto kTimeout = std::chrono::hours(24);
/// For connections, which are made when all ranks are there.
constexpr double kConnectSeconds = 60.0;

/// Gloo's key-value store, kept by the hub; bytes as hexadecimal digits.
class HubStore : public ::gloo::rendezvous::Store {
 public:
  explicit HubStore(MemberLink& link) : link_(link) {}

  void set(const std::string& key, const std::vector<char>& data) override {
    std::string text;
    for (const char c : data) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
    link_.set("gloo/" + key, text);
  }
  std::vector<char> get(const std::string& key) override {
    const std::string text = link_.get("gloo/" + key, kConnectSeconds);
    std::vector<char> data;
    for (size_t i = 0; i + 1 < text.size(); i += 2)
      data.push_back(static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16)));
    return data;
  }
  void wait(const std::vector<std::string>& keys) override {
    for (const std::string& key : keys) (void)get(key);
  }

 private:
  MemberLink& link_;
};

/// sum[i] = a[i] + b[i], in Compute of the dtype and rounded once.
template <typename T, typename Compute>
void add_arrays(void* sum, const void* a, const void* b, size_t count) {
  for (size_t i = 0; i < count; ++i)
    static_cast<T*>(sum)[i] = static_cast<T>(static_cast<Compute>(static_cast<const T*>(a)[i]) +
                                             static_cast<Compute>(static_cast<const T*>(b)[i]));
}

class GlooCommunicator : public Communicator {
 public:
  GlooCommunicator(MemberLink& link, int rank, int size,
                   std::function<Error(const std::string&)> lost)
      : Communicator(rank, size), wait_clock_(link.wait_clock()), lost_(std::move(lost)) {
    guarded([&] {
      ::gloo::transport::tcp::attr attributes;
      // The interface that leads to rank 0.
      attributes.hostname = link.own_address();
      auto device = ::gloo::transport::tcp::CreateDevice(attributes);
      HubStore store(link);
      auto context = std::make_shared< ::gloo::rendezvous::Context>(rank, size);
      context->setTimeout(kTimeout);
      context->connectFullMesh(store, device);
      context_ = std::move(context);
    });
    thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
  }

  void all_reduce(const Tensor& values) override {
    const WaitClock::Scope waiting(wait_clock_);
    guarded([&] { reduce(values, kCalls); });
  }

  void all_gather(const Tensor& mine, const Tensor& all) override {
    if (mine.numel() == 0) return;
    const WaitClock::Scope waiting(wait_clock_);
    guarded([&] {
      ::gloo::AllgatherOptions options(context_);
      options.setTag(kCalls);
      options.setInput(static_cast<char*>(mine.raw()), static_cast<size_t>(mine.bytes()));
      options.setOutput(static_cast<char*>(all.raw()), static_cast<size_t>(all.bytes()));
      ::gloo::allgather(options);
    });
  }

  void broadcast(const Tensor& values, int root) override {
    if (values.numel() == 0) return;
    const WaitClock::Scope waiting(wait_clock_);
    guarded([&] {
      ::gloo::BroadcastOptions options(context_);
      options.setTag(kCalls);
      options.setRoot(root);
      options.setOutput(static_cast<char*>(values.raw()), static_cast<size_t>(values.bytes()));
      ::gloo::broadcast(options);
    });
  }

  void abort() override { context_->closeConnections(); }

  void start_all_reduce(const Tensor& values) override {
    const std::lock_guard lock(mutex_);
    queue_.push_back(values);
    changed_.notify_all();
  }

  void finish() override {
    const ProfileScope profile("all reduce: waiting");
    const WaitClock::Scope waiting(wait_clock_);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return queue_.empty() || error_; });
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  /// Calls of one tag are matched by their order.
  enum CallTag : uint32_t { kCalls = 1, kStarted = 2 };

  template <typename Body>
  void guarded(Body&& body) const {
    try {
      body();
    } catch (const ::gloo::Exception& error) {
      throw lost_(error.what());
    }
  }

  template <typename T>
  void set_output(::gloo::AllreduceOptions& options, const Tensor& values) const {
    options.setOutput(static_cast<T*>(values.raw()), static_cast<size_t>(values.numel()));
  }

  void reduce(const Tensor& values, CallTag tag) const {
    if (values.numel() == 0) return;
    // By a ring each byte is sent and received about once, and read and written on the way.
    const ProfileScope profile("all reduce", 4 * values.bytes(), values.numel(), Peak::f32);
    ::gloo::AllreduceOptions options(context_);
    options.setTag(tag);
    // Its order of sums depends on the number of ranks alone.
    options.setAlgorithm(::gloo::AllreduceOptions::Algorithm::RING);
    switch (values.dtype()) {
      case DType::f32:
        set_output<float>(options, values);
        options.setReduceFunction(&add_arrays<float, float>);
        break;
      case DType::f64:
        set_output<double>(options, values);
        options.setReduceFunction(&add_arrays<double, double>);
        break;
      case DType::bf16:
        set_output<uint16_t>(options, values);
        options.setReduceFunction(&add_arrays<bfloat16, float>);
        break;
      default:
        fail(ErrorKind::usage, "all_reduce: no sums of {}", name_of(values.dtype()));
    }
    ::gloo::allreduce(options);
  }

  void serve(const std::stop_token& stop) {
    const std::stop_callback wake(stop, [this] {
      const std::lock_guard lock(mutex_);
      changed_.notify_all();
    });
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return !queue_.empty() || stop.stop_requested(); });
      if (queue_.empty()) return;
      const Tensor values = queue_.front();
      lock.unlock();
      std::exception_ptr error;
      try {
        guarded([&] { reduce(values, kStarted); });
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      queue_.pop_front();
      if (error) {
        error_ = error;
        queue_.clear();
      }
      changed_.notify_all();
    }
  }

  WaitClock& wait_clock_;
  std::function<Error(const std::string&)> lost_;
  std::shared_ptr< ::gloo::Context> context_;
  std::mutex mutex_;  ///< guards what follows
  std::condition_variable changed_;
  std::deque<Tensor> queue_;
  std::exception_ptr error_;
  std::jthread thread_;
};

}  // namespace

std::unique_ptr<Communicator> make_gloo_communicator(
    MemberLink& link, int rank, int size, std::function<Error(const std::string&)> lost) {
  return std::make_unique<GlooCommunicator>(link, rank, size, std::move(lost));
}

std::string cpu_collectives() { return "Gloo"; }
std::string gloo_version() {
  return fmt::format("{}.{}.{}", GLOO_VERSION_MAJOR, GLOO_VERSION_MINOR, GLOO_VERSION_PATCH);
}

#endif

}  // namespace pal
