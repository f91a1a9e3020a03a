#include <gtest/gtest.h>

#include "layers/checkpoint/zip_reader.h"
#include "runtime/error.h"
#include "tests/support/numeric.h"
#include "tests/support/torch_writer.h"

namespace pal {
namespace {

using testing::bytes_of;
using testing::ZipWriter;
using Entry = ZipWriter::Entry;

std::vector<Entry> two_entries() { return {{"a/one", "hello"}, {"a/two", std::string(300, 'x')}}; }

/// Opens a container and reads every entry.
void read_all(const std::string& file, const ZipLimits& limits = {}) {
  const std::vector<uint8_t> bytes = bytes_of(file);
  const auto access = std::make_unique<MemoryReader>(bytes, "f");
  const ZipReader zip(*access, limits);
  for (const ZipEntry& entry : zip.entries()) zip.verify(entry);
}

void expect_refused(const std::string& file, const std::string& message,
                    const ZipLimits& limits = {}) {
  testing::expect_error(ErrorKind::data, message, [&] { read_all(file, limits); });
}

TEST(Zip, ReadsEveryFormThatWritersUse) {
  for (const bool streams : {false, true})
    for (const bool wide : {false, true})
      for (const char* comment : {"", "a comment, even PK\x05\x06 in it"}) {
        const auto bytes = bytes_of(ZipWriter{streams, wide}.write(two_entries(), comment));
        const auto access = std::make_unique<MemoryReader>(bytes, "f");
        const ZipReader zip(*access);
        ASSERT_EQ(zip.entries().size(), 2U);
        EXPECT_EQ(zip.find("absent"), nullptr);
        const ZipEntry* one = zip.find("a/one");
        ASSERT_NE(one, nullptr);
        std::string text(static_cast<size_t>(one->size), ' ');
        zip.read(*one, {reinterpret_cast<uint8_t*>(text.data()), text.size()});
        EXPECT_EQ(text, "hello");
        EXPECT_NO_THROW(zip.verify(*zip.find("a/two")));
      }
  EXPECT_NO_THROW(read_all(ZipWriter().write({})));
}

TEST(Zip, RefusesNamesThatLeadElsewhere) {
  for (const char* name : {"../x", "a/../x", "a/..", "/etc/passwd", "a\\b"})
    expect_refused(ZipWriter().write({{name, "x"}}), "is not a plain relative one");
  expect_refused(ZipWriter().write({{std::string("a\0b", 3), "x"}}), "plain relative");
  expect_refused(ZipWriter().write({{"", "x"}}), "a name of 0 bytes");
  expect_refused(ZipWriter().write({{std::string(2000, 'n'), "x"}}), "a name of 2000 bytes");
  expect_refused(ZipWriter().write({{"a", "x"}, {"a", "y"}}), "\"a\" comes twice");
  EXPECT_NO_THROW(read_all(ZipWriter().write({{"a..b/..c", "x"}})));
}

TEST(Zip, RefusesWhatIsNotStoredPlainly) {
  auto entries = two_entries();
  entries[1].method = 8;
  expect_refused(ZipWriter().write(entries), "\"a/two\" is compressed (method 8)");
  entries = two_entries();
  entries[0].flags = 1;
  expect_refused(ZipWriter().write(entries), "\"a/one\" is encrypted");
}

TEST(Zip, RefusesHeadersThatDisagree) {
  auto entries = two_entries();
  entries[0].local_name = "a/uno";
  expect_refused(ZipWriter().write(entries), "has another name");
  entries = two_entries();
  entries[0].checksum ^= 1;
  expect_refused(ZipWriter().write(entries), "has checksum");
  std::string file = ZipWriter().write(two_entries());
  file[18] = 4;  // the local stored size of the first entry
  expect_refused(file, "f:0: zip: the local header of entry \"a/one\" has another size");
  file = ZipWriter{.streams = true}.write(two_entries());
  file[22] = 4;
  expect_refused(file, "another size or checksum");
}

/// The entries with every checksum 0.
std::vector<Entry> without_checksums(std::vector<Entry> entries) {
  for (Entry& entry : entries) entry.checksum = 0;
  return entries;
}

TEST(Zip, ReadsContainersWithoutAnyChecksum) {
  for (const bool streams : {false, true})
    for (const bool wide : {false, true}) {
      const ZipWriter writer{streams, wide};
      const auto bytes = bytes_of(writer.write(without_checksums(two_entries())));
      const auto access = std::make_unique<MemoryReader>(bytes, "f");
      const ZipReader zip(*access);
      EXPECT_FALSE(zip.has_checksums());
      std::string text(5, ' ');
      zip.read(*zip.find("a/one"), {reinterpret_cast<uint8_t*>(text.data()), text.size()});
      EXPECT_EQ(text, "hello");
      EXPECT_NO_THROW(zip.verify(*zip.find("a/two")));
      EXPECT_NO_THROW(read_all(writer.write(without_checksums({{"a/only", "x"}}))));
    }
}

TEST(Zip, OneChecksumOfZeroIsOneThatMustBeTrue) {
  // Four bytes whose CRC-32 is 0, and whose checksum is therefore rightly so.
  const std::string zero("\x9d\x0a\xd9\x6d", 4);
  ASSERT_EQ(Entry({"a/zero", zero}).checksum, 0U);
  EXPECT_NO_THROW(read_all(ZipWriter().write({{"a/zero", zero}, {"a/one", "hello"}})));
  for (const bool streams : {false, true})
    for (const size_t which : {size_t{0}, size_t{1}}) {
      auto entries = two_entries();
      entries[which].checksum = 0;
      expect_refused(ZipWriter{.streams = streams}.write(entries), "expected 00000000");
    }
  // A directory without checksums before which local headers have some.
  std::string file = ZipWriter().write(without_checksums(two_entries()));
  file[14] = 1;
  expect_refused(file, "the local header of entry \"a/one\" has another size or checksum");
}

TEST(Zip, RefusesEntriesThatOverlapOrLieElsewhere) {
  auto entries = two_entries();
  entries[0].size = 100;
  expect_refused(ZipWriter().write(entries), "\"a/one\" overlaps the next");
  entries = two_entries();
  entries[1].size = 1000;
  expect_refused(ZipWriter().write(entries), "do not lie before the directory");
  entries = two_entries();
  entries[1].offset = 0;
  entries[1].local_name = entries[1].name;
  expect_refused(ZipWriter().write(entries), "has another name");
  entries = {{"a", "x"}, {"b", "y"}};
  entries[1].offset = 7;
  expect_refused(ZipWriter().write(entries), "expected the local header");
  entries[1].offset = 1 << 30;
  expect_refused(ZipWriter().write(entries), "do not lie before the directory");
  entries = {{"a", "x"}};
  entries[0].size = uint64_t{1} << 62;
  expect_refused(ZipWriter{.wide = true}.write(entries), "do not lie before the directory");
}

TEST(Zip, KeepsItsLimits) {
  expect_refused(ZipWriter().write(two_entries()), "2 entries, expected at most 1", {.entries = 1});
  expect_refused(ZipWriter().write(two_entries()), "expected at most 50", {.directory_bytes = 50});
  // Counts that the directory does not hold.
  std::string file = ZipWriter().write(two_entries());
  file[file.size() - 12] = 9;
  expect_refused(file, "expected an entry of the directory");
  file[file.size() - 12] = 1;
  expect_refused(file, "bytes of the directory belong to no entry");
}

TEST(Zip, EveryCutIsRefusedAndNoFlippedBitDoesHarm) {
  for (const bool wide : {false, true}) {
    const std::string file = ZipWriter{.streams = false, .wide = wide}.write(two_entries());
    for (size_t length = 0; length < file.size(); ++length)
      EXPECT_THROW(read_all(file.substr(0, length)), Error) << length;
    for (size_t bit = 0; bit < 8 * file.size(); ++bit) {
      std::string bent = file;
      bent[bit / 8] = static_cast<char>(bent[bit / 8] ^ (1 << bit % 8));
      try {
        read_all(bent);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::data);
      }
    }
  }
}

}  // namespace
}  // namespace pal
