#include "data/archives/tar_reader.h"

#include <gtest/gtest.h>

#include "tests/data/tar_builder.h"

namespace pal {
namespace {

using testing::Bytes;
using testing::data_error;
using testing::pax_record;
using testing::TarBuilder;

struct Walked {
  std::vector<TarMember> members;
  std::vector<std::string> warnings;
};

Walked walk(const Bytes& bytes) {
  const MemoryReader archive(bytes, "a.tar");
  TarReader reader(archive);
  Walked walked;
  TarMember member;
  while (reader.next(member)) walked.members.push_back(member);
  walked.warnings = reader.warnings();
  return walked;
}

std::string walk_error(const Bytes& bytes) {
  return data_error([&] { walk(bytes); });
}

#define EXPECT_REFUSED(builder, text)                                    \
  EXPECT_NE(walk_error((builder).bytes()).find(text), std::string::npos) \
      << walk_error((builder).bytes())

TEST(TarReader, WalksOverFilesAndSkipsFolders) {
  const auto walked = walk(TarBuilder()
                               .header("./", 0, '5')
                               .file("./a.jpg", std::string(513, 'x'))
                               .file("b", "", '\0')
                               .file("c/d.cls", "7", '7', kGnuMagic)
                               .end(20)
                               .bytes());
  ASSERT_EQ(walked.members.size(), 3U);
  EXPECT_TRUE(walked.warnings.empty());
  EXPECT_EQ(walked.members[0].name, "a.jpg");
  EXPECT_EQ(walked.members[0].header, 512);
  EXPECT_EQ(walked.members[0].begin, 1024);
  EXPECT_EQ(walked.members[0].size, 513);
  EXPECT_EQ(walked.members[1].name, "b");
  EXPECT_EQ(walked.members[1].size, 0);
  EXPECT_EQ(walked.members[2].name, "c/d.cls");
}

TEST(TarReader, GivesContent) {
  const Bytes bytes = TarBuilder().file("a", "one").file("b", std::string(5000, 'b')).end().bytes();
  const MemoryReader archive(bytes, "a.tar");
  TarReader reader(archive);
  TarMember member;
  ASSERT_TRUE(reader.next(member));
  const auto one = reader.content(member);
  EXPECT_EQ(std::string(one.begin(), one.end()), "one");
  ASSERT_TRUE(reader.next(member));
  EXPECT_EQ(reader.content(member).size(), 5000U);
  EXPECT_EQ(reader.content(member)[4999], 'b');
  EXPECT_FALSE(reader.next(member));
}

TEST(TarReader, ReadsLongNamesOfEveryKind) {
  const std::string deep = std::string(120, 'd') + "/" + std::string(90, 'n');
  const std::string zero(1, '\0');
  TarBuilder builder;
  builder.file("x", "").patch(0, 345, std::string(155, 'p'));
  builder.file("././@LongLink", deep + zero, 'L', kGnuMagic).file("cut", "1", '0', kGnuMagic);
  builder.file("pax", pax_record("mtime", "1.5") + pax_record("path", deep), 'x').file("cut", "2");
  // A long link name belongs to the member only if that is a link.
  builder.file("././@LongLink", deep + zero, 'K', kGnuMagic).file("plain", "3", '0', kGnuMagic);
  builder.file("comment", pax_record("comment", "made by hand"), 'g').file("last", "4").end();
  const auto walked = walk(builder.bytes());
  ASSERT_EQ(walked.members.size(), 5U);
  EXPECT_EQ(walked.members[0].name, std::string(155, 'p') + "/x");
  EXPECT_EQ(walked.members[1].name, deep);
  EXPECT_EQ(walked.members[2].name, deep);
  EXPECT_EQ(walked.members[3].name, "plain");
  EXPECT_EQ(walked.members[4].name, "last");
}

TEST(TarReader, WarnsWhereOnlyTheWrappingIsBent) {
  TarBuilder whole;
  whole.file("a", "content");
  EXPECT_EQ(walk(whole.bytes()).warnings.size(), 1U);
  Bytes unpadded = whole.bytes();
  unpadded.resize(512 + 7);
  EXPECT_EQ(walk(unpadded).warnings.size(), 1U);
  EXPECT_EQ(walk(unpadded).members.size(), 1U);
  whole.end(1);
  EXPECT_EQ(walk(whole.bytes()).warnings.at(0), "one end-of-archive block, expected two");
}

TEST(TarReader, RefusesWhatIsNoTar) {
  EXPECT_EQ(walk_error({}), "a.tar:0: 0 bytes, too short for a tar archive");
  EXPECT_EQ(walk_error(testing::gzip(TarBuilder().file("a", "b").end().bytes())),
            "a.tar:0: compressed with gzip, which allows no jumps; unpack it with gunzip");
  EXPECT_NE(walk_error(Bytes(1024, 'x')).find("a.tar:148: the checksum is not a number"),
            std::string::npos);
  Bytes flipped = TarBuilder().file("a", "b").end().bytes();
  flipped[3] ^= 1;
  EXPECT_NE(walk_error(flipped).find("a.tar:0: no tar header: the checksum is"), std::string::npos);
  EXPECT_REFUSED(TarBuilder().file("a", "b", '0', "USTAR  ").end(),
                 "neither ustar, pax, GNU nor v7 tar");
}

TEST(TarReader, RefusesEveryCutInsideAMember) {
  const Bytes bytes = TarBuilder()
                          .file("p", pax_record("path", "long/name"), 'x')
                          .file("a", std::string(700, 'a'))
                          .bytes();
  for (size_t size = 0; size < 3 * 512 + 700; ++size) {
    const std::string message =
        walk_error(Bytes(bytes.begin(), bytes.begin() + static_cast<long>(size)));
    ASSERT_EQ(message.rfind("a.tar:", 0), 0U) << size << ' ' << message;
  }
  EXPECT_REFUSED(TarBuilder().header("a", 513).end(1), "a.tar:0: cut: a has 513 bytes, but 512");
}

TEST(TarReader, RefusesSizesThatDoNotFit) {
  EXPECT_REFUSED(TarBuilder().header("a", (uint64_t{1} << 33) - 1).end(), "cut: a has 8589934591");
  const auto sized = [](std::string_view field) {
    TarBuilder builder;
    builder.header("a", 0).end();
    return builder.patch(0, 124, field);
  };
  EXPECT_REFUSED(sized("-0000000001"), "a.tar:124: the size is not a number");
  EXPECT_REFUSED(sized("0000000008\0"), "a.tar:124: the size is not a number");
  EXPECT_REFUSED(sized(std::string(12, '\0')), "a.tar:124: the size is not a number");
  EXPECT_REFUSED(sized("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "the size is not");
  EXPECT_REFUSED(sized("\x80\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "the size is not");
  EXPECT_REFUSED(sized(std::string("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12)),
                 "cut: a has 9223372036854775807 bytes");
  // Binary sizes and spaces are fine where they are true.
  EXPECT_EQ(walk_error(sized(std::string("\x80\0\0\0\0\0\0\0\0\0\0\0", 12)).bytes()), "no error");
  EXPECT_EQ(walk_error(sized("          0 ").bytes()), "no error");
}

TEST(TarReader, RefusesNamesThatLeaveTheirFolder) {
  for (const std::string name : {"../b.jpg", "a/../../b.jpg", "..", "a/.."})
    EXPECT_REFUSED(TarBuilder().file(name, "").end(), "climbs out");
  EXPECT_REFUSED(TarBuilder().file("/etc/x.jpg", "").end(), "the name is absolute");
  EXPECT_REFUSED(TarBuilder().file(".//etc/x.jpg", "").end(), "the name is absolute");
  EXPECT_REFUSED(TarBuilder().file("", "").end(), "the name is empty");
  EXPECT_REFUSED(TarBuilder().file("p", pax_record("path", "a/../b"), 'x').file("a", "").end(),
                 "a.tar:1024: a/../b: the name climbs out");
  EXPECT_REFUSED(
      TarBuilder().file("p", pax_record("path", std::string("a\0b", 3)), 'x').file("a", "").end(),
      "a zero byte in the name");
  EXPECT_EQ(walk_error(TarBuilder().file("a..b/...", "").end().bytes()), "no error");
}

TEST(TarReader, RefusesLongNamesBeyondTheLimit) {
  const std::string most(4096, 'n');
  const std::string zero(1, '\0');
  EXPECT_EQ(walk_error(TarBuilder().file("l", most + zero, 'L').file("a", "").end().bytes()),
            "no error");
  EXPECT_REFUSED(TarBuilder().file("l", most + "n" + zero, 'L').file("a", "").end(),
                 "a name of 4098 bytes, expected at most 4096");
  EXPECT_REFUSED(TarBuilder().file("p", pax_record("path", most + "n"), 'x').file("a", "").end(),
                 "a name of 4097 bytes, expected at most 4096");
  EXPECT_REFUSED(TarBuilder().header("l", 1U << 30, 'L').end(), "a name of 1073741824 bytes");
}

TEST(TarReader, RefusesWhatIsNoFile) {
  const std::pair<char, std::string> kinds[] = {
      {'S', "a sparse file"}, {'V', "type V"}, {'\n', "type \\x0a"}};
  for (const auto& [type, text] : kinds)
    EXPECT_REFUSED(TarBuilder().file("a.jpg", "", type).end(), "a.tar:0: a.jpg is ") << text;
  EXPECT_REFUSED(TarBuilder().header("d", 512, '5').end(3), "a folder with 512 bytes");
}

TEST(TarReader, RefusesPaxRecordsThatLie) {
  const auto pax = [](const std::string& records, char type = 'x') {
    return TarBuilder().file("p", records, type).file("a.jpg", "1234567").end();
  };
  EXPECT_EQ(walk_error(pax(pax_record("size", "7")).bytes()), "no error");
  EXPECT_REFUSED(pax(pax_record("size", "6")), "a.tar:1024: the pax size is 6, the header's 7");
  EXPECT_REFUSED(pax(pax_record("size", "8589934592")), "has 8589934592 bytes, but");
  EXPECT_REFUSED(pax(pax_record("size", "-1")), "the pax size is not a number");
  EXPECT_REFUSED(pax(pax_record("size", "99999999999999999999")), "the pax size is not a number");
  EXPECT_REFUSED(pax(pax_record("size", "7") + pax_record("size", "7")), "two pax records");
  EXPECT_REFUSED(pax(pax_record("path", "b"), 'g'), "a pax path for all members");
  EXPECT_REFUSED(pax(pax_record("GNU.sparse.major", "1")), "a sparse file");
  for (const std::string records :
       {"9999 path=a\n", "0 path=a\n", "path=a\n", "-5 path=a\n", "10 path=ab", "8 patha\n",
        "18446744073709551626 path=a\n", "3 \n", "1 ", " path=a\n", "2 path=a\n"})
    EXPECT_REFUSED(pax(records), "a.tar:512: a pax record") << records;
  EXPECT_REFUSED(pax("10 path=a\n" + std::string("junk")), "a.tar:522: a pax record");
  EXPECT_REFUSED(TarBuilder().header("p", 1U << 20, 'x').end(), "pax records of 1048576 bytes");
}

TEST(TarReader, RefusesExtraHeadersWithoutAMember) {
  EXPECT_REFUSED(TarBuilder().file("p", pax_record("path", "b"), 'x').end(), "without a member");
  EXPECT_REFUSED(TarBuilder().file("l", "name", 'L').end(), "without a member");
  EXPECT_REFUSED(TarBuilder().file("l", "name", 'L').file("l", "name", 'L').file("a", "").end(),
                 "two long names");
}

TEST(TarReader, RefusesBytesBehindTheEnd) {
  const Bytes junk(600, 'x');
  EXPECT_REFUSED(TarBuilder().file("a", "").end().raw(junk),
                 "a.tar:1536: the archive ended at 512, but more follows, which is no archive");
  EXPECT_REFUSED(TarBuilder().file("a", "").end(1).raw(junk), "more follows");
  EXPECT_REFUSED(TarBuilder().file("a", "").end(20).raw({1}), "more follows");
  EXPECT_REFUSED(TarBuilder().file("a", "").end().raw({0}).file("b", "").end(), "more follows");
  EXPECT_REFUSED(TarBuilder().file("a", "").end().raw(testing::gzip(junk)), "more follows");
  EXPECT_REFUSED(TarBuilder().file("p", pax_record("path", "b"), 'x').end().file("a", "").end(),
                 "a.tar:1024: extra headers without a member");
  EXPECT_REFUSED(TarBuilder().file("a", "").end(4096), "bytes after the end of the archive");
  EXPECT_EQ(walk_error(TarBuilder().file("a", "").end(2000).bytes()), "no error");
}

TEST(TarReader, ReadsHeadersFromBeforePosix) {
  TarBuilder builder;
  builder.header("n01/", 0, '\0', kOldMagic);
  builder.file("n01/a.jpg", "one", '\0', kOldMagic);
  builder.file("n01/b.jpg", "two", '0', kOldMagic);
  // There is no prefix: what stands there means nothing.
  const size_t third = builder.bytes().size();
  builder.file("c", "three", '\0', kOldMagic).patch(third, 345, "left over");
  const size_t fourth = builder.bytes().size();
  builder.header("d", 0, '1', kOldMagic).patch(fourth, 157, "n01/b.jpg");
  // Numbers with spaces before them.
  builder.patch(third, 124, "          5 ").end();
  const auto walked = walk(builder.bytes());
  ASSERT_EQ(walked.members.size(), 4U);
  EXPECT_TRUE(walked.warnings.empty());
  EXPECT_EQ(walked.members[0].name, "n01/a.jpg");
  EXPECT_EQ(walked.members[2].name, "c");
  EXPECT_EQ(walked.members[2].size, 5);
  EXPECT_EQ(walked.members[3].begin, walked.members[1].begin);
  EXPECT_REFUSED(TarBuilder().header("d/", 5, '\0', kOldMagic).end(3), "a folder with 5 bytes");
}

TEST(TarReader, TakesSumsOfSignedBytes) {
  Bytes bytes = TarBuilder().file("caf\xe9\xe8", "x", '\0', kOldMagic).end().bytes();
  const int64_t sum = tar_checksum(std::span(bytes).first(512));
  const std::string noted = fmt::format("{:06o}", sum - 2 * 256);
  std::copy(noted.begin(), noted.end(), bytes.begin() + 148);
  EXPECT_EQ(walk(bytes).members.at(0).name, "caf\xe9\xe8");
  bytes[0] ^= 1;
  EXPECT_NE(walk_error(bytes).find("a.tar:0: no tar header"), std::string::npos);
}

TEST(TarReader, ReadsOnThroughSeveralArchives) {
  const Bytes one = TarBuilder().file("a", "1").end(18).bytes();
  const Bytes two = TarBuilder().file("b", "2", '0', kGnuMagic).end().bytes();
  const Bytes three = TarBuilder().file("c", "3", '\0', kOldMagic).bytes();
  Bytes all = one;
  testing::append(all, two);
  testing::append(all, three);
  const auto walked = walk(all);
  ASSERT_EQ(walked.members.size(), 3U);
  EXPECT_EQ(walked.members[1].name, "b");
  EXPECT_EQ(walked.members[1].header, static_cast<int64_t>(one.size()));
  EXPECT_EQ(walked.members[2].name, "c");
  ASSERT_EQ(walked.warnings.size(), 2U);
  EXPECT_EQ(walked.warnings[0],
            "several archives in one file, the second from 10240; they are read as one");
  EXPECT_NE(walked.warnings[1].find("no end-of-archive blocks"), std::string::npos);
  // One block of zeros is enough; an empty archive is one as well.
  const auto short_end = walk(TarBuilder().file("a", "").end(1).file("b", "").end().bytes());
  EXPECT_EQ(short_end.members.size(), 2U);
  EXPECT_EQ(short_end.warnings.size(), 1U);
  EXPECT_EQ(walk(TarBuilder().end().file("b", "").end().bytes()).members.size(), 1U);
  // A member that is cut is refused in the second archive too.
  all.resize(one.size() + 512 + 1);
  EXPECT_EQ(walk(all).members.size(), 2U);
  all.resize(one.size() + 512);
  EXPECT_NE(walk_error(all).find("cut: b has 1 bytes"), std::string::npos);
}

TEST(TarReader, PassesOverWhatIsNoFile) {
  for (const char type : {'2', '3', '4', '6'}) {
    TarBuilder builder;
    builder.file("a", "1").header("b", 0, type).file("c", "3").header("d", 4096, type).end();
    const auto walked = walk(builder.bytes());
    ASSERT_EQ(walked.members.size(), 4U);
    EXPECT_TRUE(walked.members[0].is_file && walked.members[2].is_file);
    EXPECT_FALSE(walked.members[1].is_file || walked.members[3].is_file);
    EXPECT_EQ(walked.members[1].size, 0);
    EXPECT_EQ(walked.warnings, std::vector<std::string>{
                                   "passed over what is no file but a link, device or FIFO: 2 in "
                                   "all, the first at 1024, b"});
  }
  EXPECT_REFUSED(TarBuilder().header("../b", 0, '2').end(), "climbs out");
}

/// An archive of a, b and a hard link c, with `before` written before the link's header.
TarBuilder linked(const std::string& target, uint64_t size = 0,
                  std::string_view magic = kPosixMagic, const TarBuilder& before = {}) {
  TarBuilder builder;
  builder.file("x/a", "one").file("b", "two").raw(before.bytes());
  const size_t at = builder.bytes().size();
  builder.header("c", size, '1', magic);
  return builder.patch(at, 157, target);
}

TEST(TarReader, HardLinksAreTheFileBefore) {
  const std::string zero(1, '\0');
  const TarBuilder archives[] = {
      linked("x/a").end(), linked("./x/a").end(), linked("x/a", 0, kGnuMagic).end(),
      linked("x/a", 0, kOldMagic).end(),
      // Its size is that of the file, and nothing is behind it.
      linked("x/a", 3).end(), linked("x/a", 3).file("d", "four").end(),
      linked("cut", 0, kGnuMagic, TarBuilder().file("././@LongLink", "x/a" + zero, 'K', kGnuMagic))
          .end(),
      linked("cut", 0, kPosixMagic, TarBuilder().file("p", pax_record("linkpath", "x/a"), 'x'))
          .end(),
      linked("cut", 3).raw(testing::bytes_of("one")).pad().end()};
  for (const TarBuilder& archive : archives) {
    const MemoryReader bytes(archive.bytes(), "a.tar");
    TarReader reader(bytes);
    TarMember member;
    ASSERT_TRUE(reader.next(member) && reader.next(member) && reader.next(member));
    EXPECT_EQ(member.name, "c");
    EXPECT_TRUE(member.is_file);
    const auto content = reader.content(member);
    EXPECT_EQ(std::string(content.begin(), content.end()), "one");
    while (reader.next(member)) EXPECT_EQ(member.name, "d");
    EXPECT_TRUE(reader.warnings().empty());
  }
}

TEST(TarReader, HardLinksToLinksAndToNothing) {
  TarBuilder builder = linked("x/a");
  const auto link = [&](const std::string& name, const std::string& target) {
    const size_t at = builder.bytes().size();
    builder.header(name, 0, '1').patch(at, 157, target);
  };
  link("d", "c");
  link("e", "later");
  link("f", "/x/a");
  link("g", "g");
  builder.file("later", "x");
  link("h", "later");
  // The last file of a name counts, as when an archive is unpacked.
  builder.file("b", "second");
  link("i", "b");
  const auto walked = walk(builder.end().bytes());
  ASSERT_EQ(walked.members.size(), 11U);
  EXPECT_EQ(walked.members[3].begin, walked.members[0].begin);
  for (const size_t i : {4U, 5U, 6U}) EXPECT_FALSE(walked.members[i].is_file) << i;
  EXPECT_EQ(walked.members[7].name, "later");
  EXPECT_EQ(walked.members[8].begin, walked.members[7].begin);
  EXPECT_EQ(walked.members[10].name, "i");
  EXPECT_EQ(walked.members[10].size, 6);
  EXPECT_EQ(walked.warnings.size(), 1U);
}

}  // namespace
}  // namespace pal
