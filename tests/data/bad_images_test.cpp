#include "data/batches/bad_images.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>
#include <vector>

#include "tests/data/byte_builder.h"

namespace pal {
namespace {

using testing::data_error;

TEST(BadImages, NotesEachPictureOnce) {
  BadImageLog log(0.5, 4);
  log.add(7, "seven");
  log.add(3, "three");
  log.add(7, "seven again");
  EXPECT_EQ(log.entries(), (std::map<int64_t, std::string>{{3, "three"}, {7, "seven"}}));
}

TEST(BadImages, StopsBeyondTheShare) {
  BadImageLog log(0.001, 2999);
  log.add(1, "one");
  log.add(2, "two");
  EXPECT_EQ(
      data_error([&] { log.add(3, "three: no JPEG"); }),
      "three: no JPEG; with it 3 of 2999 pictures (0.1 %) cannot be read, more than the 0.1 % "
      "that may be left out; see bad-images-max");
  // The log names the picture that was too many, and is full for good.
  EXPECT_EQ(log.entries().size(), 3U);
  EXPECT_NE(data_error([&] { log.add(4, "four"); }), "no error");
  EXPECT_NE(data_error([&] { log.add(1, "one"); }), "no error");
  EXPECT_EQ(log.entries().size(), 3U);
}

TEST(BadImages, AdmitsAtLeastOne) {
  for (const double share : {0.0, 0.001}) {
    BadImageLog log(share, 10);
    log.add(1, "one");
    EXPECT_NE(data_error([&] { log.add(2, "two"); }), "no error");
  }
  BadImageLog all(1.0, 3);
  for (int64_t i = 0; i < 3; ++i) all.add(i, "bad");
  EXPECT_EQ(all.entries().size(), 3U);
}

TEST(BadImages, EndsWithAdvice) {
  BadImageLog log(0.001, 46, "look at them");
  log.add(1, "one");
  EXPECT_EQ(
      data_error([&] { log.add(2, "two: cut"); }),
      "two: cut; with it 2 of 46 pictures (4.35 %) cannot be read, more than the 0.1 % that may "
      "be left out; look at them");
}

TEST(BadImages, RefusesSharesThatAreNone) {
  for (const double share : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()})
    EXPECT_THROW(BadImageLog(share, 10), Error) << share;
}

TEST(BadImages, TakesThreads) {
  BadImageLog log(1.0, 400);
  std::vector<std::thread> threads;
  for (int64_t thread = 0; thread < 4; ++thread)
    threads.emplace_back([&log, thread] {
      for (int64_t i = 0; i < 150; ++i) log.add(thread * 50 + i, "bad");
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(log.entries().size(), 300U);
}

}  // namespace
}  // namespace pal
