#include "data/archives/tar_writer.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "data/archives/tar_reader.h"
#include "tests/data/tar_builder.h"

namespace pal {
namespace {

using testing::Bytes;
using testing::bytes_of;
using testing::usage_error;

struct Entry {
  std::string name;
  Bytes content;
};

Bytes write(const std::vector<Entry>& entries) {
  Bytes all;
  const ByteSink sink = [&](std::span<const uint8_t> bytes) {
    all.insert(all.end(), bytes.begin(), bytes.end());
  };
  TarWriter writer(sink);
  for (const Entry& entry : entries) writer.add(entry.name, entry.content);
  writer.finish();
  return all;
}

std::vector<Entry> samples() {
  const std::string n = std::string(40, 'n');
  return {{"a.jpg", bytes_of("content")},
          {"a.cls", bytes_of("3")},
          {"empty", {}},
          {"block", Bytes(512, 1)},
          {"odd", Bytes(513, 2)},
          {std::string(100, 'x'), bytes_of("100")},
          {std::string(101, 'x'), bytes_of("101, no slash")},
          {std::string(155, 'p') + "/" + std::string(100, 'x'), bytes_of("the most of ustar")},
          {std::string(156, 'p') + "/" + std::string(99, 'x'), bytes_of("prefix too long")},
          {std::string(50, 'p') + "/" + std::string(101, 'x'), bytes_of("name too long")},
          {n + "/" + n + "/" + n + "/" + n + "/" + n, bytes_of("several slashes")},
          {std::string(110, 'd') + "/", bytes_of("ends in a slash")},
          {std::string(4096, 'y'), bytes_of("4096")},
          {"caf\xc3\xa9\xff.png", bytes_of("no UTF-8")}};
}

TEST(TarWriter, WritesWhatTheReaderReads) {
  const auto wanted = samples();
  const Bytes bytes = write(wanted);
  EXPECT_EQ(bytes.size() % 512, 0U);
  const MemoryReader archive(bytes, "a.tar");
  TarReader reader(archive);
  TarMember member;
  for (const Entry& entry : wanted) {
    ASSERT_TRUE(reader.next(member));
    EXPECT_EQ(member.name, entry.name);
    const auto content = reader.content(member);
    EXPECT_EQ(Bytes(content.begin(), content.end()), entry.content);
  }
  EXPECT_FALSE(reader.next(member));
  EXPECT_TRUE(reader.warnings().empty());
}

TEST(TarWriter, WritesTheSameBytesAsABuilderByHand) {
  const Bytes by_hand =
      testing::TarBuilder().file("a.jpg", "content").file("a.cls", "3").end().bytes();
  EXPECT_EQ(write({{"a.jpg", bytes_of("content")}, {"a.cls", bytes_of("3")}}), by_hand);
}

TEST(TarWriter, WritesWhatTarReads) {
  if (std::system("tar --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "no tar";
  const testing::TemporaryFolder folder;
  auto wanted = samples();
  // No file system holds these two.
  std::erase_if(wanted, [](const Entry& entry) {
    return entry.name.size() > 1000 || entry.name.ends_with('/');
  });
  folder.write("a.tar", write(wanted));
  ASSERT_EQ(
      std::system(("cd " + folder.path() + " && mkdir out && tar -x -f a.tar -C out").c_str()), 0);
  for (const Entry& entry : wanted)
    EXPECT_EQ(read_file(folder.path() + "/out/" + entry.name), entry.content) << entry.name;
}

TEST(TarWriter, RefusesNamesThatNoShardMayHold) {
  for (const std::string name : {"", "/a", "../a", "a/..", "a/../b"})
    EXPECT_EQ(usage_error([&] { write({{name, {}}}); }).rfind("tar member " + name + ": ", 0), 0U);
  EXPECT_NE(usage_error([&] {
              write({{std::string(4097, 'a'), {}}});
            }).find("at most 4096"),
            std::string::npos);
  EXPECT_NE(usage_error([&] {
              write({{std::string("a\0b", 3), {}}});
            }).find("zero byte"),
            std::string::npos);
}

}  // namespace
}  // namespace pal
