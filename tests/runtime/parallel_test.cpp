#include "runtime/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "runtime/processors.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

constexpr int kThreadCounts[] = {1, 2, 3, 7};

/// Restores the number of threads.
class Parallel : public ::testing::Test {
 protected:
  void TearDown() override { set_thread_count(before_); }
  int before_ = thread_count();
};

TEST_F(Parallel, LoopsVisitEachIndexOnce) {
  for (const int threads : kThreadCounts) {
    set_thread_count(threads);
    for (const int64_t count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> visits(static_cast<size_t>(count));
      parallel_for(count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
      });
      for (const auto& visited : visits) ASSERT_EQ(visited, 1);
    }
  }
}

TEST_F(Parallel, LittleWorkStaysOnOneThread) {
  set_thread_count(4);
  std::atomic<int> calls = 0;
  parallel_for(100, 100, [&](int64_t begin, int64_t end) {
    ++calls;
    EXPECT_EQ(begin, 0);
    EXPECT_EQ(end, 100);
  });
  EXPECT_EQ(calls, 1);
}

TEST_F(Parallel, LoopsInsideLoopsDoNotMultiplyThreads) {
  set_thread_count(3);
  std::atomic<int64_t> sum = 0;
  parallel_for(6, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      parallel_for(10, 1, [&](int64_t first, int64_t last) {
        EXPECT_EQ(last - first, 10);
        sum += last - first;
      });
  });
  EXPECT_EQ(sum, 60);
}

TEST_F(Parallel, SumsHaveTheSameBitsForAnyNumberOfThreads) {
  const Philox random(3, RandomPurpose::test);
  for (const int64_t count : {0, 1, 4095, 4097, 123457}) {
    const auto sum = [&] {
      return parallel_sum(count, [&](int64_t i) {
        // Twelve decades of magnitudes: any other order of addition shows.
        const auto w = random.uniform4(static_cast<uint32_t>(i));
        return (static_cast<double>(w[0]) - 0.5) * std::pow(10.0, 12.0 * static_cast<double>(w[1]));
      });
    };
    set_thread_count(1);
    const double one = sum();
    for (const int threads : kThreadCounts) {
      set_thread_count(threads);
      EXPECT_EQ(sum(), one) << count << " terms, " << threads << " threads";
    }
  }
}

TEST_F(Parallel, TreeSumAddsTheParts) {
  for (const int64_t parts : {1, 2, 3, 5, 8, 13}) {
    std::vector<double> values(static_cast<size_t>(parts * 3));
    std::iota(values.begin(), values.end(), 0.0);
    tree_sum(values.data(), parts, 3);
    for (int64_t i = 0; i < 3; ++i)
      EXPECT_EQ(values[static_cast<size_t>(i)],
                static_cast<double>(parts * i + 3 * parts * (parts - 1) / 2));
  }
}

TEST_F(Parallel, TheExceptionOfAChunkArrivesAtTheCaller) {
  for (const int threads : kThreadCounts) {
    set_thread_count(threads);
    EXPECT_THROW(parallel_for(8, 1,
                              [](int64_t begin, int64_t end) {
                                if (begin <= 5 && 5 < end) throw std::domain_error("five");
                              }),
                 std::domain_error);
  }
}

TEST_F(Parallel, ThreadCountsAreChecked) {
  testing::expect_error(ErrorKind::usage, "threads: expected at least 1, got -1",
                        [] { set_thread_count(-1); });
  // What this process may use, unless the environment says otherwise.
  if (std::getenv("OMP_NUM_THREADS") == nullptr) {
    set_thread_count(0);
    EXPECT_EQ(thread_count(), usable_processors());
  }
  set_thread_count(1000000);
  EXPECT_EQ(thread_count(), 4 * omp_get_num_procs());
}

TEST_F(Parallel, GrainsGrowWithFewerChannels) {
  EXPECT_EQ(row_grain(0), 16384);
  EXPECT_EQ(row_grain(16), 1024);
  EXPECT_EQ(row_grain(1 << 20), 1);
}

/// Each task is done once, and `next` is what the same worker does next, if it is said.
TEST(ParallelTasks, DoEachTaskOnceAndSayWhatIsNext) {
  for (const int64_t count : {0, 1, 3, 4, 100})
    for (const int64_t workers : {1, 3}) {
      std::vector<std::vector<std::pair<int64_t, int64_t>>> done(3);  // (task, next) of a worker
      parallel_tasks(count, workers, [&](int64_t task, int64_t next, int64_t worker) {
        ASSERT_LT(worker, workers);
        done[static_cast<size_t>(worker)].emplace_back(task, next);
      });
      std::vector<int> times(static_cast<size_t>(count), 0);
      for (const auto& tasks : done)
        for (size_t i = 0; i < tasks.size(); ++i) {
          ++times[static_cast<size_t>(tasks[i].first)];
          if (tasks[i].second >= count) continue;
          ASSERT_LT(i + 1, tasks.size());
          EXPECT_EQ(tasks[i + 1].first, tasks[i].second);
        }
      EXPECT_EQ(times, std::vector<int>(static_cast<size_t>(count), 1)) << count << " " << workers;
    }
}

/// Nobody keeps a task while others have none.
TEST(ParallelTasks, ReserveNoneOfTheLast) {
  parallel_tasks(3, 3, [](int64_t, int64_t next, int64_t) { EXPECT_GE(next, 3); });
}

}  // namespace
}  // namespace pal
