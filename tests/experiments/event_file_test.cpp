#include "experiments/report/event_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <string>

#include "runtime/error.h"
#include "runtime/file.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

using std::string_literals::operator""s;

// RFC 3720, B.4, and the check value of the polynomial.
TEST(EventFile, Crc32cHasItsKnownValues) {
  EXPECT_EQ(crc32c(""), 0U);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43U);
}

TEST(EventFile, RecordHasLengthDataAndTwoMaskedChecksums) {
  // As tensorboard's RecordWriter writes it.
  EXPECT_EQ(tfrecord("abc"),
            "\x03\0\0\0\0\0\0\0\xb0\x99\x49\x0e"
            "abc"
            "\x6e\x57\xf1\x21"s);
}

TEST(EventFile, RowBecomesScalars) {
  MetricsRow row("train");
  row.set("t", 3.0).set_count("step", 300).set("loss", 1.5);
  row.set_json("memory", R"({"peak":2})");
  EXPECT_EQ(scalar_event(row, 1.0),
            "\x09\0\0\0\0\0\0\xf0\x3f"  // wall time
            "\x10\xac\x02"              // step
            "\x2a\x2d"                  // summary
            "\x0a\x11\x0a\x0atrain/loss\x15\0\0\xc0\x3f"
            "\x0a\x18\x0a\x11train/memory/peak\x15\0\0\0\x40"s);
}

TEST(EventFile, OnlyTheAveragedModelHasTagsOfItsOwn) {
  const auto event_of = [](const char* model) {
    MetricsRow row("val");
    row.set_count("step", 1).set_text("model", model).set("ce", 1.0);
    return scalar_event(row, 0.0);
  };
  EXPECT_NE(event_of("final").find("val/ce"), std::string::npos);
  EXPECT_NE(event_of("averaged").find("val_averaged/ce"), std::string::npos);
}

TEST(EventFile, ValuesThatAreNotFiniteStayScalars) {
  MetricsRow row("train");
  row.set_count("step", 1).set("loss", std::numeric_limits<double>::infinity());
  EXPECT_NE(scalar_event(row, 0.0).find("train/loss\x15\0\0\x80\x7f"s), std::string::npos);
}

TEST(EventFile, FileGrowsEventByEvent) {
  const testing::TemporaryFolder folder;
  const std::string events = folder.file("events");
  EventFile file(events, 5);
  const std::string path = std::filesystem::directory_iterator(events)->path();
  EXPECT_NE(path.find("/events.out.tfevents."), std::string::npos);
  const auto text = [&] {
    const auto bytes = read_file(path);
    return std::string(bytes.begin(), bytes.end());
  };
  const std::string start = text();
  EXPECT_EQ(start.substr(0, 8), "\x1a\0\0\0\0\0\0\0"s);
  EXPECT_NE(start.find("\x1a\x0d"
                       "brain.Event:2"),
            std::string::npos);
  EXPECT_NE(start.find("\x10\x05\x3a\x02\x08\x01"), std::string::npos);
  MetricsRow row("val");
  row.set_count("step", 5).set("acc1", 0.5);
  file.append(row);
  EXPECT_EQ(text().substr(0, start.size()), start);
  EXPECT_NE(text().find("val/acc1"), std::string::npos);
}

TEST(EventFile, FolderThatCannotBeMadeIsNamed) {
  const testing::TemporaryFolder folder;
  write_atomic(folder.file("taken"), "");
  try {
    const EventFile file(folder.file("taken"), 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::environment);
    EXPECT_NE(std::string(error.what()).find("taken"), std::string::npos);
  }
}

}  // namespace
}  // namespace pal
