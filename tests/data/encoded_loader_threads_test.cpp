// What the loader's threads do, when, and how they end.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

#include "data/batches/bad_images.h"
#include "runtime/error.h"
#include "tests/data/encoded_loader_case.h"

namespace pal {
namespace {

using std::chrono::milliseconds;
using testing::all;
using testing::kSize;
using testing::kValues;
using testing::loader_of;
using testing::MemorySource;
using testing::random_pictures;
using testing::training;

/// Waits until `reads` are done, then a little longer, and returns how many were done.
int64_t settled_reads(const MemorySource& source, int64_t reads) {
  for (int i = 0; i < 2000 && source.reads < reads; ++i)
    std::this_thread::sleep_for(milliseconds(1));
  std::this_thread::sleep_for(milliseconds(20));
  return source.reads;
}

TEST(EncodedLoaderThreads, DecodesAheadAsFarAsAllowed) {
  const MemorySource source(random_pictures(24));
  LoaderOptions options = training(4, 3);
  options.prefetch = 2;
  EncodedLoader loader = loader_of(source, options);
  EXPECT_EQ(settled_reads(source, 0), 0);
  loader.batch(0, 4);
  // Batches 5, and 0 of the next epoch.
  EXPECT_EQ(settled_reads(source, 12), 12);
  loader.batch(0, 5);
  EXPECT_EQ(settled_reads(source, 16), 16);
  loader.batch(0, 5);
  EXPECT_EQ(settled_reads(source, 16), 16);
  options.prefetch = 0;
  source.reads = 0;
  loader_of(source, options).batch(0, 1);
  EXPECT_EQ(settled_reads(source, 4), 4);
}

TEST(EncodedLoaderThreads, EvaluationReadsNothingBeyondItsEnd) {
  const MemorySource source(random_pictures(10));
  EncodedLoader loader = loader_of(source, evaluation_options(training(4)));
  for (int64_t step = 0; step < 3; ++step) loader.batch(0, step);
  EXPECT_EQ(settled_reads(source, 10), 10);
}

TEST(EncodedLoaderThreads, HoldsOneSlotMoreThanItDecodesAhead) {
  const MemorySource source(random_pictures(40));
  LoaderOptions options = training(4);
  options.prefetch = 2;
  const auto bytes = [] { return Allocator::cpu().stats().current_of(Tag::data); };
  const int64_t before = bytes();
  {
    EncodedLoader loader = loader_of(source, options);
    for (const Batch& batch : {loader.batch(0, 0), loader.batch(0, 1)})
      EXPECT_EQ(batch.images.numel(), 4 * kValues);
    const int64_t held = bytes() - before;
    EXPECT_GE(held, 3 * 4 * kValues);
    EXPECT_LT(held, 3 * 4 * kValues + 512);
    for (int64_t i = 0; i < 25; ++i) loader.batch(i / 10, i % 10);
    EXPECT_EQ(bytes() - before, held);
  }
  EXPECT_EQ(bytes(), before);
}

TEST(EncodedLoaderThreads, MeasuresHowLongItWaits) {
  MemorySource source(random_pictures(8));
  source.before_read = [](int64_t) { std::this_thread::sleep_for(milliseconds(30)); };
  EncodedLoader direct = loader_of(source, training(4, 0));
  EXPECT_EQ(direct.stall_seconds(), 0.0);
  direct.batch(0, 0);
  EXPECT_GE(direct.stall_seconds(), 0.12);
  EncodedLoader ahead = loader_of(source, training(4, 4));
  ahead.batch(0, 0);
  const double first = ahead.stall_seconds();
  EXPECT_GE(first, 0.03);
  settled_reads(source, 4 + 16);
  ahead.batch(0, 1);
  EXPECT_LT(ahead.stall_seconds() - first, 0.03);
}

TEST(EncodedLoaderThreads, CanBeDroppedAtAnyTime) {
  MemorySource source(random_pictures(30));
  source.before_read = [](int64_t index) {
    std::this_thread::sleep_for(std::chrono::microseconds(index * 10));
  };
  for (int64_t i = 0; i < 200; ++i) {
    LoaderOptions options = training(4, 1 + i % 4);
    options.prefetch = i % 5;
    EncodedLoader loader = loader_of(source, options);
    for (int64_t step = 0; step < i % 3; ++step) loader.batch(i, (step * i) % loader.steps());
  }
}

TEST(EncodedLoaderThreads, PassesOnWhateverReadingThrows) {
  MemorySource source(random_pictures(12));
  LoaderOptions options = training(4, 3);
  options.shuffle = false;
  source.before_read = [](int64_t index) {
    if (index == 5) throw std::runtime_error("odd");
    if (index == 6 || index == 9) fail(ErrorKind::environment, "disk");
  };
  BadImageLog log(1.0, 12);
  options.bad_images = &log;  // but no picture is at fault
  for (const int64_t workers : {0, 3}) {
    options.workers = workers;
    EncodedLoader loader = loader_of(source, options);
    loader.batch(0, 0);
    for (const char* message : {"odd", "odd", "disk", "disk"}) {
      try {
        loader.batch(0, *message == 'o' ? 1 : 2);
        ADD_FAILURE() << "no error";
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), message);
      }
    }
    EXPECT_EQ(loader.batch(1, 0).indices, (std::vector<int64_t>{0, 1, 2, 3}));
  }
  EXPECT_TRUE(log.entries().empty());
}

TEST(EncodedLoaderThreads, WorkersGetNoSignals) {
  MemorySource source(random_pictures(4));
  std::atomic<int> open = 0;
  source.before_read = [&open](int64_t) {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    if (sigismember(&mask, SIGINT) == 0 || sigismember(&mask, SIGTERM) == 0) ++open;
  };
  loader_of(source, training(4, 2)).batch(0, 0);
  EXPECT_EQ(open, 0);
  loader_of(source, training(4, 0)).batch(0, 0);
  EXPECT_EQ(open, 4);
}

}  // namespace
}  // namespace pal
