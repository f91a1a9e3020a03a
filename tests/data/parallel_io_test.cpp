#include "data/sources/parallel_io.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

namespace pal {
namespace {

TEST(ParallelIo, CallsEachOnce) {
  for (const size_t count : {0U, 1U, 7U, 1000U}) {
    std::vector<std::atomic<int>> calls(count);
    parallel_io(count, [&](size_t i) { ++calls[i]; });
    for (const auto& n : calls) EXPECT_EQ(n, 1);
  }
}

TEST(ParallelIo, RethrowsTheFirstError) {
  for (int trial = 0; trial < 50; ++trial) {
    std::string message;
    try {
      parallel_io(500, [](size_t i) {
        if (i >= 100 && i % 3 == 0) throw std::runtime_error(std::to_string(i));
      });
    } catch (const std::runtime_error& error) {
      message = error.what();
    }
    ASSERT_EQ(message, "102");
  }
}

}  // namespace
}  // namespace pal
