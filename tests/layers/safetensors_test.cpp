#include "layers/checkpoint/safetensors.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "layers/checkpoint/tensor_source.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/philox.h"
#include "tests/support/numeric.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

using testing::TemporaryFolder;
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

/// A file of the given header text, its true length in front and `data_bytes` zeros behind.
std::vector<uint8_t> file_of(const std::string& header, size_t data_bytes) {
  std::vector<uint8_t> bytes(8 + header.size() + data_bytes);
  const uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, 8);
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  return bytes;
}

/// The error text of a file that must be refused as data; empty if it is accepted.
std::string refusal(const std::vector<uint8_t>& bytes, const SafetensorsLimits& limits = {}) {
  try {
    parse_safetensors(bytes, "f", limits);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  return "";
}

Tensor counted(const Shape& shape, DType dtype = DType::f32) {
  const Tensor tensor = Tensor::empty(shape, dtype);
  auto* bytes = static_cast<uint8_t*>(tensor.raw());
  for (int64_t i = 0; i < tensor.bytes(); ++i) bytes[i] = static_cast<uint8_t>(i * 7 % 61);
  return tensor;
}

bool equal(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
}

TEST(Safetensors, RoundTripOfTypesAndShapes) {
  const TemporaryFolder folder;
  const NamedTensors tensors = {
      {"f32", counted({2, 3, 5, 7})},          {"f64", counted({13}, DType::f64)},
      {"bf16", counted({1, 17}, DType::bf16)}, {"i32", counted({3, 1, 2}, DType::i32)},
      {"u8", counted({5}, DType::u8)},         {"scalar", counted({})},
      {"none", Tensor::empty({0, 4})},         {"odd \"name\"\n\xc3\xa9", counted({1})}};
  write_safetensors(folder.file("a"), {{"key", "line\nbreak \"x\""}, {"digest", "ignored"}},
                    tensors);
  const SafetensorsFile file = SafetensorsFile::read(folder.file("a"));
  EXPECT_EQ(file.metadata().at("key"), "line\nbreak \"x\"");
  ASSERT_EQ(file.names().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) EXPECT_TRUE(equal(file.tensor(name), tensor)) << name;
  EXPECT_TRUE(file.verify_digest());
  EXPECT_TRUE(verify_digest(read_file(folder.file("a")), "a"));
  EXPECT_THROW(file.tensor("absent"), Error);
}

TEST(Safetensors, DataBeginsAtAMultipleOf64AndBytesAreTheSameTwice) {
  const TemporaryFolder folder;
  for (int length = 0; length < 70; ++length) {
    const std::map<std::string, std::string> metadata = {
        {"k", std::string(static_cast<size_t>(length), 'x')}};
    write_safetensors(folder.file("a"), metadata, {{"t", counted({3})}});
    const SafetensorsFile file = SafetensorsFile::read(folder.file("a"));
    EXPECT_EQ(file.info("t").begin % 64, 0);
    EXPECT_EQ(file.metadata().at("k"), metadata.at("k"));
    if (length % 23 != 0) continue;
    write_safetensors(folder.file("b"), metadata, {{"t", counted({3})}});
    EXPECT_EQ(read_file(folder.file("a")), read_file(folder.file("b")));
  }
}

TEST(Safetensors, SlicesAreWrittenDenseAndRankFourChannelFirst) {
  const TemporaryFolder folder;
  const Tensor image = counted({2, 3, 2, 5});
  const Tensor slice = image.slice_channels(1, 3);
  write_safetensors(folder.file("a"), {}, {{"slice", slice}}, FileLayout::channel_first);
  const Tensor stored = SafetensorsFile::read(folder.file("a")).tensor("slice");
  ASSERT_EQ(stored.shape(), (Shape{2, 3, 3, 2}));
  // Entry [n = 1, c = 2, y = 1, x = 0] is channel 3 of the image.
  EXPECT_EQ(stored.data<float>()[((1 * 3 + 2) * 3 + 1) * 2 + 0],
            image.data<float>()[((1 * 3 + 1) * 2 + 0) * 5 + 3]);
  EXPECT_TRUE(equal(to_channel_last(stored), slice.clone()));
  for (const DType type : {DType::f64, DType::bf16, DType::u8})
    EXPECT_TRUE(equal(to_channel_last(to_channel_first(counted({3, 7, 1, 11}, type))),
                      counted({3, 7, 1, 11}, type)));
  EXPECT_THROW(to_channel_first(counted({3, 2})), Error);
}

TEST(Safetensors, ValuesAreSummedAndCheckedForFiniteness) {
  const TemporaryFolder folder;
  const Tensor good = Tensor::empty({1000});
  good.fill(0.5);
  const Tensor bad = good.clone();
  bad.data<float>()[999] = std::numeric_limits<float>::infinity();
  const Tensor huge = Tensor::empty({2}, DType::f64);
  huge.fill(1.7e308);
  write_safetensors(folder.file("a"), {}, {{"huge", huge}, {"good", good}, {"bad", bad}});
  const SafetensorsFile file = SafetensorsFile::read(folder.file("a"));
  EXPECT_EQ(file.summarize(file.info("good"))->sum, 500.0);
  EXPECT_TRUE(file.summarize(file.info("huge"))->finite);
  EXPECT_EQ(file.first_non_finite(), "bad");

  // Half precision: 1, the smallest positive number 2^-24, -2, infinity.
  auto half = file_of(R"({"h":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}})", 8);
  const std::array<uint16_t, 4> bits = {0x3c00, 0x0001, 0xc000, 0x7c00};
  std::memcpy(half.data() + half.size() - 8, bits.data(), 6);
  const SafetensorsFile finite = SafetensorsFile::parse(half, "half");
  EXPECT_EQ(finite.summarize(finite.info("h"))->sum, 1.0 + std::ldexp(1.0, -24) - 2.0);
  EXPECT_FALSE(finite.first_non_finite().has_value());
  std::memcpy(half.data() + half.size() - 8, bits.data(), 8);
  EXPECT_EQ(SafetensorsFile::parse(half, "half").first_non_finite(), "h");
}

TEST(Safetensors, ForeignTypesAreKnownButNotLoaded) {
  const auto bytes = file_of(R"({"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})", 8);
  const SafetensorsFile file = SafetensorsFile::parse(bytes, "f");
  EXPECT_FALSE(file.info("n").dtype.has_value());
  try {
    file.tensor("n");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("\"n\" has dtype I64"), std::string::npos);
  }
}

/// A file of a tensor of some type and shape, of `bytes` bytes, before one of two bytes.
std::vector<uint8_t> before_another(const std::string& type, const std::string& shape,
                                    size_t bytes) {
  return file_of(fmt::format(R"({{"new":{{"dtype":"{}","shape":{},"data_offsets":[0,{}]}},)"
                             R"("u":{{"dtype":"U8","shape":[2],"data_offsets":[{},{}]}}}})",
                             type, shape, bytes, bytes, bytes + 2),
                 bytes + 2);
}

TEST(Safetensors, TensorsOfNewerTypesAreLeftAlone) {
  const struct {
    const char* type;
    const char* shape;
    size_t bytes;
  } cases[] = {{"F8_E4M3", "[3]", 3},    {"F8_E5M2", "[3,1]", 3}, {"F8_E8M0", "[3]", 3},
               {"F8_E4M3FNUZ", "[]", 1}, {"C64", "[2]", 16},      {"F4", "[3,2]", 3},
               {"F6_E2M3", "[4]", 3},    {"F4", "[0]", 0},        {"I4", "[7]", 4},
               {"F128", "[2]", 32},      {"TERNARY_2", "[9]", 2}, {"X", "[0,5]", 0}};
  for (const auto& each : cases) {
    const SafetensorsFile file =
        SafetensorsFile::parse(before_another(each.type, each.shape, each.bytes), "f");
    EXPECT_EQ(file.tensor("u").numel(), 2) << each.type;
    EXPECT_EQ(file.summarize(file.info("u"))->sum, 0.0) << each.type;
    EXPECT_EQ(file.bytes_of(file.info("new")).size(), each.bytes);
    EXPECT_FALSE(file.summarize(file.info("new")).has_value()) << each.type;
    testing::expect_error(ErrorKind::data, fmt::format("\"new\" has dtype {}", each.type),
                          [&] { file.tensor("new"); });
  }
}

TEST(Safetensors, RangesOfNewerTypesAreChecked) {
  const auto fault = [](const std::string& type, const std::string& shape, size_t bytes) {
    return refusal(before_another(type, shape, bytes));
  };
  EXPECT_NE(fault("F8_E8M0", "[3]", 4).find("needs 3 bytes, its range has 4"), std::string::npos);
  EXPECT_NE(fault("F4", "[3]", 2).find("needs 12 bits, no whole bytes"), std::string::npos);
  EXPECT_NE(fault("F4", "[4]", 1).find("needs 2 bytes, its range has 1"), std::string::npos);
  EXPECT_NE(fault("I4", "[17]", 2).find("needs 3 bytes or more, its range has 2"),
            std::string::npos);
  EXPECT_NE(fault("I4", "[0]", 1).find("needs 0 bytes or more, its range has 1"),
            std::string::npos);
  EXPECT_NE(fault("I4", "[3]", 0).find("needs 1 bytes or more"), std::string::npos);
  EXPECT_NE(fault("I4", "[8589934592,2147483648]", 8).find("extents overflows"), std::string::npos);
  std::vector<uint8_t> gap = file_of(R"({"new":{"dtype":"I4","shape":[2],"data_offsets":[0,1]},)"
                                     R"("u":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
                                     4);
  EXPECT_NE(refusal(gap).find("begins at byte 2 of the data, the one before ends at 1"),
            std::string::npos);
}

TEST(Safetensors, TypesThatAreNotKnownAreNoNumbersForASource) {
  const TemporaryFolder folder;
  const auto bytes = before_another("I4", "[4]", 2);
  write_atomic(folder.file("a"), std::string(bytes.begin(), bytes.end()));
  const auto source = open_tensor_source(folder.file("a"));
  ASSERT_NE(source->find("new"), nullptr);
  EXPECT_EQ(source->find("new")->bytes(), 0);
  EXPECT_EQ(source->read(*source->find("u")).size(), 2U);
  testing::expect_error(ErrorKind::data, "tensor \"new\" has dtype I4, which this program does not",
                        [&] { source->read(*source->find("new")); });
}

TEST(Safetensors, RanksAboveFourAreSqueezedOrRefused) {
  const auto file = [](const std::string& shape) {
    return SafetensorsFile::parse(
        file_of(R"({"t":{"dtype":"U8","shape":)" + shape + R"(,"data_offsets":[0,6]}})", 6), "f");
  };
  EXPECT_EQ(file("[1,1,1,2,3,1]").tensor("t").shape(), (Shape{1, 2, 3, 1}));
  EXPECT_THROW(file("[2,1,1,1,3]").tensor("t"), Error);
}

TEST(Safetensors, EveryKindOfBrokenHeaderIsRefused) {
  const auto entry = [](const std::string& shape, const std::string& offsets) {
    return R"({"t":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  ASSERT_EQ(refusal(file_of(entry("[2]", "[0,8]") + "  ", 8)), "");
  ASSERT_EQ(refusal(file_of("{}", 0)), "");
  const struct {
    std::string header;
    size_t data_bytes;
    const char* expected;
  } cases[] = {
      {" {}", 0, "f:8: the header does not begin with {"},
      {"[]", 0, "f:8: the header does not begin"},
      {"{\"\xff\":{}}", 0, "f:10: the header is not valid UTF-8"},
      {"{\"\xc0\xaf\":{}}", 0, "not valid UTF-8"},
      {"{\"\xed\xa0\x80\":{}}", 0, "not valid UTF-8"},
      {"{\"\xf4\x90\x80\x80\":{}}", 0, "not valid UTF-8"},
      {"{\"\xe2\x82", 0, "not valid UTF-8"},
      {"{ ", 0, "not valid JSON"},
      {"{}{}", 0, "not valid JSON"},
      {"{}x", 0, "not valid JSON"},
      {"{\"a\":}", 0, "not valid JSON"},
      {"{\"a\":1}", 0, "a number where none may be"},
      {"{\"a\":null}", 0, "a null"},
      {"{\"a\":true}", 0, "a boolean"},
      {"{\"a\":\"b\"}", 0, "a string where"},
      {"{\"a\":[]}", 0, "an array where"},
      {"{\"a\":{}}", 0, "expected dtype, shape and data_offsets"},
      {"{\"__metadata__\":{\"k\":1}}", 0, "a number where none may be"},
      {"{\"__metadata__\":{\"k\":{}}}", 0, "an object where none may be"},
      {"{\"__metadata__\":{\"k\":\"a\",\"k\":\"b\"}}", 0, "duplicate metadata key \"k\""},
      {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "duplicate name"},
      {R"({"t":{"dtype":"F32","dtype":"F32"}})", 0, "duplicate key \"dtype\""},
      {R"({"t":{"dtype":"f33","shape":[2]}})", 0, "unknown dtype \"f33\""},
      {R"({"t":{"dtype":"","shape":[2]}})", 0, "unknown dtype \"\""},
      {R"({"t":{"dtype":"F\u0000","shape":[2]}})", 0, "unknown dtype"},
      {R"({"t":{"type":"F32"}})", 0, "unknown key \"type\""},
      {R"({"t\n\u0007":{"type":"F32"}})", 0, "tensor \"t??\""},
      {entry("[[2]]", "[0,8]"), 8, "an array where"},
      {entry("[2.0]", "[0,8]"), 8, "not a whole one"},
      {entry("[-2]", "[0,8]"), 8, "a negative number"},
      {entry("[2e0]", "[0,8]"), 8, "not a whole one"},
      {entry("[18446744073709551616]", "[0,8]"), 8, "not a whole one"},
      {entry("[18446744073709551615]", "[0,8]"), 8, "is too large"},
      {entry("2", "[0,8]"), 8, "a number where"},
      {entry("[2]", "[0]"), 8, "expected two data_offsets"},
      {entry("[2]", "[0,8,8]"), 8, "expected two data_offsets"},
      {entry("[2]", "[8,0]"), 8, "are not within"},
      {entry("[2]", "[0,12]"), 8, "are not within"},
      {entry("[2]", "[0,4]"), 4, "needs 8 bytes, its range has 4"},
      {entry("[2]", "[4,12]"), 12, "begins at byte 4"},
      {entry("[2]", "[0,8]"), 9, "1 bytes after the last tensor"},
      {entry("[8589934592,2147483648]", "[0,0]"), 0, "the product of its extents overflows"},
      {entry("[4294967296,4294967296,0]", "[0,0]"), 0, "the product of its extents overflows"},
      {entry("[2305843009213693952]", "[0,0]"), 0, "the product of its extents overflows"},
      {entry("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "more than 16 extents"},
      {R"({"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},)"
       R"("b":{"dtype":"U8","shape":[5],"data_offsets":[3,8]}})",
       8, "begins at byte 3 of the data, the one before ends at 5"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
       R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
       2, "duplicate name \"a\""},
  };
  for (const auto& test : cases)
    EXPECT_NE(refusal(file_of(test.header, test.data_bytes)).find(test.expected), std::string::npos)
        << test.header << " -> " << refusal(file_of(test.header, test.data_bytes));
}

TEST(Safetensors, LengthsAreCheckedWithoutWrapping) {
  EXPECT_NE(refusal({}).find("f:0: 0 bytes"), std::string::npos);
  EXPECT_NE(refusal(std::vector<uint8_t>(7)).find("f:0: 7 bytes"), std::string::npos);
  EXPECT_NE(refusal(std::vector<uint8_t>(8)).find("header of 0 bytes"), std::string::npos);
  for (const uint64_t length : {uint64_t{3}, uint64_t{99'999'999}, uint64_t{100'000'001},
                                ~uint64_t{0}, ~uint64_t{7}, uint64_t{1} << 63}) {
    auto bytes = file_of("{}", 0);
    std::memcpy(bytes.data(), &length, 8);
    EXPECT_NE(refusal(bytes).find("f:0: header of"), std::string::npos) << length;
  }
  const std::string text = "# a TOML file, not tensors\nlr = 0.1\n";
  EXPECT_EQ(refusal({text.begin(), text.end()}), "f: not a safetensors checkpoint");
  EXPECT_EQ(refusal({text.begin(), text.begin() + 8}), "f: not a safetensors checkpoint");
  const auto bytes = file_of(R"({"__metadata__":{"a":"b"}})", 0);
  EXPECT_NE(refusal(bytes, {.header_bytes = 10}), "");
  EXPECT_NE(refusal(file_of(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"b":{}})", 0),
                    {.tensors = 0}),
            "");
  std::string deep = "{\"a\":";
  for (int i = 0; i < 100'000; ++i) deep += "{\"b\":";
  EXPECT_NE(refusal(file_of(deep, 0)).find("unknown key"), std::string::npos);
}

TEST(Safetensors, RandomChangesNeverDoHarm) {
  const std::string header =
      R"({"__metadata__":{"digest":"00000000000000000000000000000000","k":"v"},)"
      R"("a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},)"
      R"("b":{"dtype":"U8","shape":[3],"data_offsets":[16,19]}})";
  const auto original = file_of(header, 19);
  ASSERT_EQ(refusal(original), "");
  const std::string tokens = "{}[]\",:0123456789-.eE\\utfn \xff\x80";
  const Philox random(1, RandomPurpose::test);
  int refused = 0;
  for (uint32_t trial = 0; trial < 30'000; ++trial) {
    auto bytes = original;
    const auto words = random.words(trial);
    const size_t changes = 1 + words[0] % 3;
    for (size_t i = 0; i < changes; ++i) {
      const size_t at = words[1 + i] % bytes.size();
      const uint32_t what = words[1 + i] >> 16;
      if (what % 4 == 0)
        bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at));
      else if (what % 4 == 1)
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                     static_cast<uint8_t>(tokens[what / 4 % tokens.size()]));
      else
        bytes[at] = static_cast<uint8_t>(tokens[what / 4 % tokens.size()]);
    }
    if (!refusal(bytes).empty()) {
      ++refused;
      continue;
    }
    const SafetensorsFile file = SafetensorsFile::parse(bytes, "f");
    for (const TensorInfo& tensor : file.tensors()) file.summarize(tensor);
    file.verify_digest();
  }
  EXPECT_GT(refused, 15'000);
}

TEST(Safetensors, WriterRefusesWhatItCannotWrite) {
  const TemporaryFolder folder;
  const Tensor tensor = counted({2});
  EXPECT_THROW(write_safetensors(folder.file("a"), {}, {{"t", tensor}, {"t", tensor}}), Error);
  EXPECT_THROW(write_safetensors(folder.file("a"), {}, {{"__metadata__", tensor}}), Error);
  EXPECT_THROW(write_safetensors(folder.file("a"), {}, {{"t", Tensor()}}), Error);
  EXPECT_FALSE(std::filesystem::exists(folder.file("a")));
  write_atomic(folder.file("plain"), "text");
  for (const std::string& path : {folder.file("plain") + "/x", std::string("/proc/none/x"),
                                  std::string("/proc/x.safetensors")}) {
    try {
      write_safetensors(path, {}, {{"t", tensor}});
      ADD_FAILURE() << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::environment);
      EXPECT_EQ(std::string(error.what()).find(path), 0U) << error.what();
    }
  }
}

}  // namespace
}  // namespace pal
