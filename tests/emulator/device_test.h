#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "tests/emulator/cuda_emulator.h"
#include "tests/emulator/sanitizer.h"

// As runtime/launch.cuh defines them.
#define TEST_SHARED(T, name, n) \
  static char name##_key;       \
  T* name = emulator::shared<T>(&name##_key, n)
#define TEST_SHARED_DYNAMIC(T, name) T* name = emulator::dynamic_shared<T>()

// Deaths that only AddressSanitizer or UBSan bring about.
#define EXPECT_SANITIZER_DEATH(statement, message)                     \
  do {                                                                 \
    if (!emulator::detail::kAsan) GTEST_SKIP() << "needs a sanitizer"; \
    EXPECT_DEATH(statement, message);                                  \
  } while (false)

namespace emulator {

/// An array in device memory that the host can copy from and to.
template <class T>
class Buffer {
 public:
  explicit Buffer(const std::vector<T>& values) : n_(values.size()) {
    EXPECT_EQ(cudaMalloc(&data_, bytes()), cudaSuccess);
    assign(values);
  }
  explicit Buffer(size_t n) : Buffer(std::vector<T>(n)) {}
  ~Buffer() { cudaFree(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  T* data() { return data_; }
  size_t bytes() const { return n_ * sizeof(T); }
  void assign(const std::vector<T>& values) {
    EXPECT_EQ(cudaMemcpy(data_, values.data(), bytes(), cudaMemcpyHostToDevice), cudaSuccess);
  }
  std::vector<T> values() const {
    std::vector<T> result(n_);
    EXPECT_EQ(cudaMemcpy(result.data(), data_, bytes(), cudaMemcpyDeviceToHost), cudaSuccess);
    return result;
  }

 private:
  size_t n_;
  T* data_ = nullptr;
};

/// One device, a stream, the default settings.
class DeviceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    reset();
    set_device_count(1);
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  }
  void TearDown() override {
    reset();
    cudaStreamDestroy(stream);
    set_device_count(0);
  }

  template <class... P, class... A>
  void run(void (*kernel)(P...), dim3 grid, dim3 block, A&&... arguments) {
    launch(kernel, grid, block, 0, stream, std::forward<A>(arguments)...);
  }
  /// Calls `f` in the order forward, reverse, and shuffled with several seeds.
  static void in_all_orders(const std::function<void()>& f) {
    for (const Order each : {Order::forward, Order::reverse}) {
      set_order(each);
      f();
    }
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      set_order(Order::shuffled, seed);
      f();
    }
    set_order(Order::forward);
  }
  /// Whether `kernel(float*)`, run as one block of 64 threads, gives `expected` in all orders.
  bool always_gives(void (*kernel)(float*), const std::vector<float>& expected) {
    bool right = true;
    in_all_orders([&] {
      Buffer<float> y(expected.size());
      run(kernel, 1, 64, y.data());
      right = right && y.values() == expected;
    });
    return right;
  }

  cudaStream_t stream = nullptr;
};

}  // namespace emulator
