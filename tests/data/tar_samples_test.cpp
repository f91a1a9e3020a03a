#include "data/sources/tar_samples.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "data/sources/tar_labels.h"
#include "runtime/file.h"
#include "runtime/philox.h"
#include "tests/data/tar_builder.h"
#include "tests/support/source_file.h"

namespace pal {
namespace {

using testing::Bytes;
using testing::bytes_of;
using testing::data_error;
using testing::TarBuilder;

std::string samples_error(const TarBuilder& builder) {
  return data_error([&] { inspect_tar(builder.bytes(), "a.tar"); });
}

#define EXPECT_REFUSED(builder, text) \
  EXPECT_NE(samples_error(builder).find(text), std::string::npos) << samples_error(builder)

TEST(TarSamples, GathersMembersByKey) {
  const Bytes bytes = TarBuilder()
                          .file("notes.txt", "hello")
                          .file("n01/a.JPEG", "aaa")
                          .file("n01/a.txt", "a caption")
                          .file("n01/a.cls", "3\n")
                          .file("n02/a.cls", " 12 ")
                          .file("n02/a.png", "bb")
                          .file("c.jpg", "c")
                          .file("c.json", R"({"url": {"label": "no"}, "label": 0})")
                          .file("d.json", R"({"label": "tench"})")
                          .file("d.seg.png", "a map, not the picture")
                          .file("d.jpeg", "dddd")
                          .file("d.cls", "1")
                          .file("._d.jpg", "left by another system")
                          .file("README", "no dot")
                          .file("e.json", "{broken, but no sample")
                          .end()
                          .bytes();
  const TarSamples samples = parse_tar(MemoryReader(bytes, "a.tar"));
  ASSERT_EQ(samples.count(), 4);
  EXPECT_EQ(samples.members, 15);
  EXPECT_EQ(samples.labels, (std::vector<int64_t>{3, 12, 0, 1}));
  EXPECT_EQ(samples.sizes, (std::vector<int64_t>{3, 2, 1, 4}));
  EXPECT_EQ(samples.pictures[0], "n01/a.JPEG");
  EXPECT_EQ(samples.pictures[3], "d.jpeg");
  EXPECT_EQ(bytes[static_cast<size_t>(samples.begins[1])], 'b');
  EXPECT_TRUE(samples.warnings.empty());
  const TarSummary summary = inspect_tar(bytes, "a.tar");
  EXPECT_EQ(summary.samples, 4);
  EXPECT_EQ(summary.classes, 13);
}

TEST(TarSamples, RefusesHalfSamples) {
  EXPECT_EQ(samples_error(TarBuilder().file("a.jpg", "").file("b.cls", "1").end()),
            "a.tar:0: a.jpg has no label; expected a.cls or .json beside it");
  EXPECT_REFUSED(TarBuilder().file("a.jpg", "").end(), "a.jpg has no label");
  EXPECT_REFUSED(TarBuilder().file("a.cls", "1").file("b.jpg", "").end(),
                 "a.tar:0: a.cls is a label without picture");
  EXPECT_REFUSED(TarBuilder().file("a.jpg", "").file("a.json", "{\"x\": 1}").end(),
                 "a.tar:1024: neither \"label\" nor \"cls\" in the JSON");
}

TEST(TarSamples, RefusesRepeatedKeys) {
  EXPECT_REFUSED(TarBuilder().file("a.jpg", "").file("a.png", "").end(),
                 "a.tar:512: a.png is the second of its kind");
  EXPECT_REFUSED(TarBuilder().file("a.jpg", "").file("a.cls", "1").file("a.cls", "1").end(),
                 "a.tar:1536: a.cls is the second of its kind");
  EXPECT_REFUSED(TarBuilder()
                     .file("a.jpg", "")
                     .file("a.cls", "1")
                     .file("b.jpg", "")
                     .file("b.cls", "1")
                     .file("a.jpeg", "")
                     .file("a.cls", "1")
                     .end(),
                 "a.tar:3072: the key a comes twice, first at 0");
}

/// A header of a member that leads elsewhere.
TarBuilder& link(TarBuilder& builder, const std::string& name, char type,
                 const std::string& target) {
  const size_t at = builder.bytes().size();
  return builder.header(name, 0, type).patch(at, 157, target);
}

TEST(TarSamples, HardLinksAreReadAndOtherLinksLeaveTheirSampleOut) {
  TarBuilder builder;
  builder.file("a.jpg", "one").file("a.cls", "1");
  link(builder, "b.jpg", '1', "a.jpg");
  link(builder, "b.cls", '1', "a.cls");
  link(builder, "c.jpg", '2', "a.jpg");
  builder.file("c.cls", "2").file("d.jpg", "four");
  link(builder, "d.cls", '2', "a.cls");
  builder.file("e.jpg", "five");
  link(builder, "e.json", '1', "later.json");
  // What a sample does not need may be anything.
  builder.file("f.jpg", "six").file("f.cls", "3");
  link(builder, "f.json", '2', "x");
  link(builder, "f.txt", '6', "");
  link(builder, "fifo", '6', "");
  builder.end();
  const TarSamples samples = parse_tar(MemoryReader(builder.bytes(), "a.tar"));
  ASSERT_EQ(samples.count(), 3);
  EXPECT_EQ(samples.labels, (std::vector<int64_t>{1, 1, 3}));
  EXPECT_EQ(samples.begins[1], samples.begins[0]);
  EXPECT_EQ(samples.pictures[1], "b.jpg");
  ASSERT_EQ(samples.warnings.size(), 2U);
  EXPECT_NE(samples.warnings[0].find("6 in all, the first at 3072, c.jpg"), std::string::npos)
      << samples.warnings[0];
  EXPECT_EQ(samples.warnings[1], "a.tar: 3 samples left out, whose picture or label is such");
}

TEST(TarSamples, RefusesArchivesWithoutASample) {
  const TarBuilder archives[] = {TarBuilder().end(), TarBuilder().end(200),
                                 TarBuilder().header("d/", 0, '5').end(),
                                 TarBuilder().file("README", "x").file("a.txt", "x").end(),
                                 TarBuilder().file("a.json", "{}").file(".b.jpg", "x").end()};
  for (const TarBuilder& archive : archives)
    EXPECT_REFUSED(archive, "a.tar:0: no sample; expected");
  TarBuilder links;
  link(links, "a.jpg", '2', "x");
  EXPECT_REFUSED(links.file("a.cls", "1").end(), "no sample that is not a link to elsewhere");
}

TEST(TarSamples, ReadsSeveralArchivesAsOne) {
  Bytes bytes = TarBuilder().file("a.jpg", "1").file("a.cls", "1").end(7).bytes();
  testing::append(bytes, TarBuilder().file("b.jpg", "2").file("b.cls", "0").end().bytes());
  const TarSummary summary = inspect_tar(bytes, "a.tar");
  EXPECT_EQ(summary.samples, 2);
  EXPECT_EQ(summary.warnings.size(), 1U);
}

TEST(TarLabels, ReadsNumbersOnly) {
  EXPECT_EQ(parse_cls(bytes_of("7"), "x"), 7);
  EXPECT_EQ(parse_cls(bytes_of("\t0007 \r\n"), "x"), 7);
  EXPECT_EQ(parse_cls(bytes_of("999999"), "x"), 999999);
  for (const std::string text : {"", " ", "cat", "-1", "+1", "1.0", "0x1", "1 2", "1\n2", "\xff",
                                 "99999999999999999999", "1000000", "2147483648"})
    EXPECT_EQ(
        data_error([&] { parse_cls(bytes_of(text), "a.tar:9"); }).rfind("a.tar:9: the label", 0),
        0U)
        << text;
  EXPECT_LT(data_error([&] { parse_cls(Bytes(100000, '1'), "x"); }).size(), 200U);
}

TEST(TarLabels, ReadsJson) {
  EXPECT_EQ(parse_json_label(bytes_of(R"({"cls": 5})"), "x"), 5);
  EXPECT_EQ(
      parse_json_label(bytes_of(R"({"cls": 5, "label": 5, "a": [{"label": -3}], "b": 1e9})"), "x"),
      5);
  const auto error = [](const std::string& text) {
    return data_error([&] { parse_json_label(bytes_of(text), "a.tar:9"); });
  };
  EXPECT_EQ(error(R"({"cls": 5, "label": 6})"), "a.tar:9: two labels, 5 and 6");
  for (const std::string value : {"\"5\"", "5.0", "null", "true", "[5]", "{\"label\": 5}"})
    EXPECT_EQ(error("{\"label\": " + value + "}"), "a.tar:9: the label is not an integer") << value;
  for (const std::string value : {"-1", "1000000", "9223372036854775807", "18446744073709551615"})
    EXPECT_NE(error("{\"label\": " + value + "}").find("not between 0 and 999999"),
              std::string::npos)
        << value;
  for (const std::string text : {"5", "[{\"label\": 5}]", "[]", "\"text\"", "\"x\"x", "NaN"})
    EXPECT_EQ(error(text), "a.tar:9: expected a JSON object") << text;
  for (const std::string text :
       {"", "{", "{\"label\": 5", "{\"label\": 5} x", "{\"label\" 5}", "{\"label\": }",
        "{label: 5}", "{\"label\": 05}", "{\"label\": nan}", "{\"a\": 1 \"label\": 5}",
        "{\"label\": 5,}", "{\"a\": [1, 2}, \"label\": 5}", "{\"a\": \"\n\", \"label\": 5}",
        "{\"a\": \"\\"})
    EXPECT_NE(error(text).find("a.tar:9: broken JSON at byte"), std::string::npos) << text;
  EXPECT_NE(error("{\"a\": \"label\"}").find("neither"), std::string::npos);
  EXPECT_NE(error("{\"a\": " + std::string(100000, '[')).find("nested deeper than 64"),
            std::string::npos);
}

TEST(TarLabels, ReadsJsonAsPythonWritesIt) {
  for (const std::string value :
       {"NaN", "Infinity", "-Infinity", "[NaN, 1.5, {\"x\": [-Infinity]}]", "{\"label\": NaN}",
        "123456789012345678901234567890", "1e400", "-0.5E-7", R"("caf\udce9")", R"("\"label\": 4")",
        "\"caf\xe9\"", "[]", "{}", "[ ]", "null", R"("\\")"}) {
    for (const std::string& text :
         {"{\"a\": " + value + ", \"label\": 5}", "{\"label\" : 5 , \"score\": " + value + "\n}"})
      EXPECT_EQ(parse_json_label(bytes_of(text), "x"), 5) << text;
  }
  EXPECT_EQ(parse_json_label(bytes_of("{\"a\": " + std::string(400, '9') + ", \"cls\": 5}"), "x"),
            5);
  EXPECT_EQ(parse_json_label(bytes_of("\xef\xbb\xbf{\"cls\": 5}"), "x"), 5);
  for (const std::string value : {"NaN", "Infinity", "-Infinity", "5e0", "5.0"})
    EXPECT_EQ(
        data_error([&] { parse_json_label(bytes_of("{\"label\": " + value + "}"), "a.tar:9"); }),
        "a.tar:9: the label is not an integer")
        << value;
  for (const std::string value : {"nan", "inf", "-infinity", "+5", "0x5", ".5", "5.", "1e", "--5"})
    EXPECT_NE(data_error([&] {
                parse_json_label(bytes_of("{\"a\": " + value + ", \"label\": 5}"), "a.tar:9");
              }).find("broken JSON at byte 6"),
              std::string::npos)
        << value;
}

TEST(TarSamples, BadInputIsJudgedAsTheManifestSays) {
  std::ifstream manifest(testing::source_file("tests/badinput/manifest.tsv"));
  int rows = 0;
  for (std::string line; std::getline(manifest, line);) {
    std::istringstream cells(line);
    std::string file;
    std::string wrong;
    std::string expected;
    std::string check;
    std::getline(cells, file, '\t');
    std::getline(cells, wrong, '\t');
    std::getline(cells, expected, '\t');
    std::getline(cells, check, '\t');
    if (file.rfind("tar/", 0) != 0) continue;
    ++rows;
    SCOPED_TRACE(file + ": " + wrong);
    const std::string path = testing::source_file("tests/badinput/" + file);
    const Bytes bytes = read_file(path);
    if (expected == "error") {
      const std::string message = data_error([&] { inspect_tar(bytes, path); });
      EXPECT_EQ(message.rfind(path + ":", 0), 0U) << message;
      continue;
    }
    const TarSummary summary = inspect_tar(bytes, path);
    EXPECT_EQ(summary.warnings.empty(), expected == "accept");
    EXPECT_EQ(fmt::format("samples={}", summary.samples), check);
  }
  EXPECT_EQ(rows, 5);
}

TEST(TarSamples, DamagedBytesNeverDoMoreThanThrow) {
  const Bytes seed = TarBuilder()
                         .file("p", testing::pax_record("path", "x/a.jpg"), 'x')
                         .file("a", "1234567")
                         .file("l", "x/a.json", 'L', kGnuMagic)
                         .file("a", R"({"label": 3})", '0', kGnuMagic)
                         .file("b.jpg", "1234")
                         .file("b.cls", "3")
                         .end()
                         .bytes();
  ASSERT_EQ(inspect_tar(seed, "a.tar").samples, 2);
  const Philox random(3, RandomPurpose::test, 1);
  for (uint32_t trial = 0; trial < 20000; ++trial) {
    TarBuilder builder;
    builder.raw(seed);
    const auto words = random.words(trial);
    // Every other one with a right checksum, or nothing behind it would ever be tried.
    if (trial % 2 == 0) {
      const char byte = static_cast<char>(words[1]);
      builder.patch(words[0] % (seed.size() / 512) * 512, words[2] % 148, {&byte, 1});
    }
    Bytes bytes = builder.bytes();
    bytes[words[3] % bytes.size()] ^= trial % 2 == 0 ? 0 : static_cast<uint8_t>(words[1]);
    if (trial % 5 == 0) bytes.resize(words[2] % bytes.size());
    try {
      ASSERT_LE(inspect_tar(bytes, "a.tar").samples, 2);
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::data) << error.what();
      ASSERT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace pal
