#include "data/archives/idx.h"

#include <gtest/gtest.h>

#include "runtime/philox.h"
#include "tests/data/byte_builder.h"

namespace pal {
namespace {

using testing::Bytes;
using testing::data_error;
using testing::gzip;
using testing::idx_bytes;

std::string parse_error(const Bytes& bytes) {
  return data_error([&] { parse_idx(bytes, "file"); });
}

TEST(Idx, ReadsPlainAndGzip) {
  Bytes values(3 * 9 * 7);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<uint8_t>(i);
  const Bytes plain = idx_bytes({3, 9, 7}, values);
  for (const Bytes& bytes : {plain, gzip(plain)}) {
    const IdxArray array = parse_idx(bytes, "file");
    EXPECT_EQ(array.shape, (std::vector<int64_t>{3, 9, 7}));
    EXPECT_EQ(array.values, values);
  }
  const IdxArray labels = parse_idx(idx_bytes({2}, {4, 5}), "file");
  EXPECT_EQ(labels.shape, std::vector<int64_t>{2});
}

TEST(Idx, ReadsConcatenatedGzipMembersAndManyPieces) {
  const Bytes values(3 << 20, 7);
  const Bytes plain = idx_bytes({3, 1 << 20}, values);
  EXPECT_EQ(parse_idx(gzip(plain), "file").values, values);
  Bytes joined = gzip(Bytes(plain.begin(), plain.begin() + 1000));
  testing::append(joined, gzip(Bytes(plain.begin() + 1000, plain.end())));
  EXPECT_EQ(parse_idx(joined, "file").values, values);
}

TEST(Idx, ReadsFilesAndNamesThem) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.write("a.gz", gzip(idx_bytes({2}, {1, 2})));
  EXPECT_EQ(read_idx(path).values, (Bytes{1, 2}));
  EXPECT_EQ(data_error([&] { read_idx(folder.path() + "/none"); }),
            folder.path() + "/none: no such file");
}

TEST(Idx, RefusesWrongHeaders) {
  EXPECT_EQ(parse_error({}), "file:0: too short for an IDX file; expected a header of 4 bytes");
  EXPECT_NE(parse_error({0, 0, 8}).find("file:3: too short"), std::string::npos);
  EXPECT_NE(parse_error({0, 0, 13, 1, 0, 0, 0, 1, 0}).find("begins with 00 00 0d 01"),
            std::string::npos);
  EXPECT_NE(parse_error({0, 0, 8, 0}).find("file:0: not an IDX file"), std::string::npos);
  EXPECT_NE(parse_error({0, 0, 8, 5}).find("file:0: not an IDX file"), std::string::npos);
  EXPECT_NE(parse_error({0, 0, 8, 2, 0, 0, 0, 1, 0}).find("file:9: the file ends inside"),
            std::string::npos);
  EXPECT_NE(parse_error(idx_bytes({3, 0}, {})).find("file:8: extent 1 of [3, 0] is 0"),
            std::string::npos);
}

TEST(Idx, RefusesCountsThatLie) {
  const std::string lie = parse_error(idx_bytes({1000, 9, 7}, Bytes(189)));
  EXPECT_EQ(lie,
            "file:16: extents [1000, 9, 7] promise 63000 values, but 205 bytes hold at most 189");
  // 2^16 * 2^16 * 2^16 * 2^16 wraps to 0 in 64 bits.
  EXPECT_NE(parse_error(idx_bytes({65536, 65536, 65536, 65536}, {})).find("promise more than"),
            std::string::npos);
  EXPECT_NE(parse_error(idx_bytes({0xffffffffU, 0xffffffffU}, {})).find("promise more than"),
            std::string::npos);
  EXPECT_NE(parse_error(idx_bytes({2}, {1, 2, 3})).find("file:10: more bytes follow the 2 values"),
            std::string::npos);
}

TEST(Idx, RefusesGzipThatLies) {
  // Enough compressed bytes for the promise to be possible, too few values in them.
  EXPECT_NE(parse_error(gzip(idx_bytes({1000}, Bytes(999))))
                .find("file:1007: extents [1000] promise "
                      "1000 values, found 999"),
            std::string::npos);
  EXPECT_NE(parse_error(gzip(idx_bytes({1U << 30}, Bytes(10)))).find("bytes hold at most"),
            std::string::npos);
  // A bomb: 64 MiB of zeros behind a header of ten values is refused after the eleventh.
  EXPECT_NE(
      parse_error(gzip(idx_bytes({10}, Bytes(64 << 20)))).find("more bytes follow the 10 values"),
      std::string::npos);
}

TEST(Idx, RefusesBrokenGzip) {
  const Bytes whole = gzip(idx_bytes({300}, Bytes(300, 9)));
  for (size_t size = 2; size < whole.size(); ++size) {
    const std::string message =
        parse_error(Bytes(whole.begin(), whole.begin() + static_cast<long>(size)));
    ASSERT_EQ(message.rfind("file:", 0), 0U) << size << ' ' << message;
  }
  Bytes checksum = whole;
  checksum[whole.size() - 6] ^= 1;
  EXPECT_NE(parse_error(checksum).find("broken gzip stream (incorrect data check)"),
            std::string::npos);
  Bytes surplus = whole;
  testing::append(surplus, {0, 0, 0});
  EXPECT_NE(parse_error(surplus).find("3 bytes follow the end of the gzip stream"),
            std::string::npos);
}

TEST(Idx, DamagedBytesNeverDoMoreThanThrow) {
  Bytes plain = idx_bytes({30, 4, 4}, Bytes(480, 200));
  for (const Bytes& seed : {plain, gzip(plain)}) {
    const Philox random(3, RandomPurpose::test, seed.size());
    for (uint32_t trial = 0; trial < 20000; ++trial) {
      Bytes bytes = seed;
      const auto words = random.words(trial);
      bytes[words[0] % std::min<size_t>(bytes.size(), 64)] = static_cast<uint8_t>(words[1]);
      if (trial % 3 == 0) bytes.resize(words[2] % bytes.size());
      try {
        const IdxArray array = parse_idx(bytes, "file");
        ASSERT_EQ(array.shape.empty(), false);
      } catch (const Error& error) {
        ASSERT_EQ(error.kind(), ErrorKind::data) << error.what();
      }
    }
  }
}

}  // namespace
}  // namespace pal
