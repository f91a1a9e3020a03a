#include "layers/checkpoint/torch_file.h"

#include <gtest/gtest.h>

#include <cstring>

#include "runtime/error.h"
#include "runtime/file.h"
#include "tests/support/numeric.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/torch_writer.h"

namespace pal {
namespace {

namespace build = testing::pickle;
using testing::bytes_of;
using testing::little_endian;
using testing::TorchWriter;
using testing::ZipWriter;
using Entry = ZipWriter::Entry;

/// A file and the reader of it.
struct Opened {
  explicit Opened(const std::string& text, const TorchLimits& limits = {})
      : bytes(bytes_of(text)), file(bytes, "f", limits) {}
  std::vector<float> floats(const std::string& name) const {
    const SourceTensor* tensor = file.find(name);
    if (tensor == nullptr) return {};
    std::vector<float> values(static_cast<size_t>(tensor->numel()));
    file.read_floats(*tensor, values);
    return values;
  }
  std::vector<uint8_t> bytes;
  TorchFile file;
};

void expect_refused(const std::string& text, const std::string& message,
                    const TorchLimits& limits = {}) {
  testing::expect_error(ErrorKind::data, message, [&] {
    const Opened opened(text, limits);
    opened.file.verify();
  });
}

std::string raw_floats(int count) {
  std::string raw;
  for (int i = 0; i < count; ++i) raw += little_endian(static_cast<float>(i));
  return raw;
}

/// A file with one storage "0" of 12 floats (0, 1, ...) and the given dictionary entries.
std::string with_storage(const std::string& entries, std::vector<Entry> more = {}) {
  std::vector<Entry> all = {{"m/data.pkl", build::begin() + "}(" + entries + "u."},
                            {"m/data/0", raw_floats(12)}};
  all.insert(all.end(), more.begin(), more.end());
  return ZipWriter().write(all);
}

std::string view(const std::string& key, int64_t offset, const std::vector<int64_t>& shape,
                 const std::vector<int64_t>& strides) {
  return build::text(key) +
         build::tensor(build::storage("FloatStorage", "0", 12), offset, shape, strides);
}

TEST(TorchFile, ReadsBothForms) {
  for (const bool legacy : {false, true}) {
    TorchWriter writer;
    writer.legacy = legacy;
    writer.add_value("epoch", "K\7");
    writer.add_value("lr", "G" + std::string(8, '\0'));
    writer.add_value("tags", "](N\x88" + build::text("x") + "e");
    writer.add("inn/a.w", testing::random_tensor({2, 3, 1, 5}, DType::f32, 1));
    writer.add("inn/a.b", testing::random_tensor({7}, DType::f32, 2));
    writer.add("mu", testing::random_tensor({4, 3}, DType::f32, 3), {1, 4, 3});
    const Opened opened(writer.write());
    EXPECT_EQ(opened.file.is_legacy(), legacy);
    EXPECT_EQ(opened.file.keys(), (std::vector<std::string>{"epoch", "lr", "tags", "inn", "mu"}));
    ASSERT_EQ(opened.file.tensors().size(), 3U);
    EXPECT_EQ(opened.file.tensors()[2].shape, (std::vector<int64_t>{1, 4, 3}));
    const Tensor wanted = testing::random_tensor({2, 3, 1, 5}, DType::f32, 1);
    const std::vector<float> got = opened.floats("inn.a.w");
    ASSERT_EQ(got.size(), 30U);
    EXPECT_EQ(std::memcmp(got.data(), wanted.raw(), 120), 0);
    EXPECT_EQ(opened.floats("mu").size(), 12U);
    EXPECT_NO_THROW(opened.file.verify());
  }
}

TEST(TorchFile, ReadsViewsInTheirOrder) {
  const Opened opened(with_storage(view("whole", 0, {3, 4}, {4, 1}) +
                                   view("turned", 0, {4, 3}, {1, 4}) +
                                   view("part", 5, {2, 2}, {4, 1}) + view("one", 11, {}, {}) +
                                   view("none", 12, {0, 3}, {3, 1})));
  EXPECT_EQ(opened.floats("whole").size(), 12U);
  EXPECT_EQ(opened.floats("turned"), (std::vector<float>{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}));
  EXPECT_EQ(opened.floats("part"), (std::vector<float>{5, 6, 9, 10}));
  EXPECT_EQ(opened.floats("one"), (std::vector<float>{11}));
  EXPECT_EQ(opened.floats("none").size(), 0U);
}

TEST(TorchFile, ReadsOtherTypes) {
  const auto file = [](const std::string& type, const std::string& raw, int64_t count) {
    const std::string body =
        build::begin() + build::tensor(build::storage(type, "0", count), 0, {count}, {1}) + ".";
    return ZipWriter().write({{"m/data.pkl", body}, {"m/data/0", raw}});
  };
  EXPECT_EQ(Opened(file("DoubleStorage", little_endian(0.5), 1)).floats("tensor"),
            (std::vector<float>{0.5F}));
  EXPECT_EQ(Opened(file("HalfStorage", std::string("\x00\x3c\x00\xc4", 4), 2)).floats("tensor"),
            (std::vector<float>{1.0F, -4.0F}));
  EXPECT_EQ(Opened(file("BFloat16Storage", std::string("\x80\x3f", 2), 1)).floats("tensor"),
            (std::vector<float>{1.0F}));
  const Opened whole(file("LongStorage", little_endian(int64_t{-3}), 1));
  EXPECT_EQ(whole.file.tensors()[0].dtype_name, "I64");
  testing::expect_error(ErrorKind::data, "expected real numbers, found I64",
                        [&] { whole.floats("tensor"); });
  expect_refused(file("FloatStorage", std::string(5, 'x'), 1),
                 "entry \"m/data/0\" of 5 bytes, expected 1 elements of F32");
}

TEST(TorchFile, ReadsTensorsBesideValuesThatNoNetworkNeeds) {
  for (const bool legacy : {false, true}) {
    TorchWriter writer;
    writer.legacy = legacy;
    writer.add_value("device", build::global("torch", "device") + build::text("cpu") + "\x85R");
    writer.add_value("dtype", build::global("torch", "float32"));
    writer.add_value("milestones", build::global("collections", "Counter") + "}(K\3K\1u\x85R");
    writer.add_value("seen", build::global("__builtin__", "set") + "](K\1K\2e\x85R");
    writer.add("w", testing::random_tensor({3}, DType::f32, 1));
    const Opened opened(writer.write());
    EXPECT_EQ(opened.file.keys(),
              (std::vector<std::string>{"device", "dtype", "milestones", "seen", "w"}));
    ASSERT_EQ(opened.file.tensors().size(), 1U);
    EXPECT_EQ(opened.floats("w").size(), 3U);
  }
}

TEST(TorchFile, ReadsTensorsOfTypesThatTheEngineLacks) {
  const auto file = [](const std::string& body, const std::string& raw) {
    return ZipWriter().write({{"m/data.pkl", build::begin() + body + "."}, {"m/data/0", raw}});
  };
  const std::string untyped = "(" + build::text("storage") +
                              build::global("torch.storage", "UntypedStorage") + build::text("0") +
                              build::text("cpu") + build::integer(8) + "tQ";
  const std::string typed = build::global("torch._utils", "_rebuild_tensor_v3") + "(" + untyped +
                            build::integer(1) + build::tuple({2}) + build::tuple({2}) + "\x89" +
                            build::ordered_dict() + build::global("torch", "uint16") + "tR";
  const Opened narrow(file(typed, "abcdefgh"));
  EXPECT_EQ(narrow.file.tensors()[0].dtype_name, "U16");
  const std::vector<uint8_t> values = narrow.file.read(narrow.file.tensors()[0]);
  EXPECT_EQ(std::string(values.begin(), values.end()), "cdgh");
  const Opened wide(file(build::tensor(build::storage("ComplexDoubleStorage", "0", 1), 0, {1}, {1}),
                         std::string(16, 'x')));
  EXPECT_EQ(wide.file.tensors()[0].bytes(), 16);
  testing::expect_error(ErrorKind::data, "expected real numbers, found complex128",
                        [&] { wide.floats("tensor"); });
  expect_refused(file(typed, "abcdefg"),
                 "entry \"m/data/0\" of 7 bytes, expected 8 elements of U8");
}

TEST(TorchFile, ComparesChecksumsWhenNumbersAreRead) {
  std::string text = with_storage(view("w", 0, {12}, {1}) + view("part", 1, {2}, {1}));
  const size_t at = text.find(raw_floats(12));
  text[at + 40] ^= 1;
  const Opened opened(text);
  testing::expect_error(ErrorKind::data, "entry \"m/data/0\" has checksum",
                        [&] { opened.floats("part"); });
  testing::expect_error(ErrorKind::data, "has checksum", [&] { opened.floats("w"); });
  testing::expect_error(ErrorKind::data, "has checksum", [&] { opened.file.verify(); });
}

TEST(TorchFile, ReadsContainersWithoutChecksums) {
  const auto file = [](const std::vector<size_t>& zeroed) {
    std::vector<Entry> entries = {
        {"m/data.pkl", build::begin() + "}(" + view("w", 0, {12}, {1}) + "u."},
        {"m/byteorder", "little"},
        {"m/data/0", raw_floats(12)}};
    for (const size_t each : zeroed) entries[each].checksum = 0;
    return ZipWriter{.streams = true}.write(entries);
  };
  const Opened none(file({0, 1, 2}));
  EXPECT_TRUE(none.file.lacks_checksums());
  EXPECT_EQ(none.floats("w").size(), 12U);
  EXPECT_NO_THROW(none.file.verify());
  EXPECT_FALSE(Opened(file({})).file.lacks_checksums());
  for (const std::vector<size_t>& some : std::vector<std::vector<size_t>>{{0}, {1}, {2}, {0, 1}})
    expect_refused(file(some), "expected 00000000");
}

TEST(TorchFile, RefusesContainersThatDoNotFit) {
  EXPECT_NO_THROW(Opened(with_storage("", {{"m/byteorder", "little"}})));
  expect_refused(with_storage("", {{"m/byteorder", "big"}}), "byte order \"big\"");
  expect_refused(with_storage("", {{"n/data.pkl", "N."}}), "two entries data.pkl");
  expect_refused(ZipWriter().write({{"m/other", "x"}}), "without ARCHIVE/data.pkl");
  expect_refused(ZipWriter().write({{"m/code/data.pkl", "x"}}), "without ARCHIVE/data.pkl");
  const std::string missing =
      build::text("w") + build::tensor(build::storage("FloatStorage", "9", 1), 0, {1}, {1});
  expect_refused(with_storage(missing), "no entry \"m/data/9\" for a storage");
  expect_refused(with_storage(view("w", 0, {1}, {1}) + view("w", 1, {1}, {1})),
                 "tensor \"w\" comes twice");
  expect_refused(with_storage(build::text("a.b") + view("c", 0, {1}, {1}).substr(6) +
                              build::text("a") + "}" + view("b", 0, {1}, {1}) + "s"),
                 "tensor \"a.b\" comes twice");
  expect_refused("not a file of tensors", "f:0: not a PyTorch file");
}

TEST(TorchFile, RefusesFilesThatKeepTheirReaderBusy) {
  // A list that holds itself; lists that hold the one before twice; many views of one storage.
  expect_refused(with_storage(build::text("x") + "]q\1h\1a"), "nests more than 64 deep");
  std::string nested = "]q\1";
  for (int i = 1; i <= 60; ++i)
    nested += "h" + std::string(1, static_cast<char>(i)) + "h" +
              std::string(1, static_cast<char>(i)) + "\x86q" +
              std::string(1, static_cast<char>(i + 1));
  // Every pair stays on the stack until a tuple takes them all.
  expect_refused(with_storage(build::text("x") + "(" + nested + "t"), "shared ones counted");
  std::string views;
  for (int i = 0; i < 2000; ++i) views += view(std::to_string(i), 0, {12}, {1});
  EXPECT_NO_THROW(Opened(with_storage(views)));
  std::string repeated = build::text("a") + "](" + view("", 0, {12}, {1}).substr(5) + "q\1";
  for (int i = 0; i < 5000; ++i) repeated += "h\1";
  expect_refused(with_storage(repeated + "e"), "in a file of");
  expect_refused(
      with_storage(build::text(std::string(2000, 'k')) + "}" + view("w", 0, {1}, {1}) + "s"),
      "a path of more than 500 bytes");
}

TEST(TorchFile, RefusesOlderStreamsThatDoNotFit) {
  TorchWriter writer;
  writer.legacy = true;
  writer.add("w", testing::random_tensor({3}, DType::f32, 1));
  writer.add("v", testing::random_tensor({2}, DType::f32, 2));
  const std::string file = writer.write();
  EXPECT_NO_THROW(Opened{file});
  for (size_t length = 0; length < file.size(); ++length)
    EXPECT_THROW(Opened(file.substr(0, length)), Error) << length;
  expect_refused(file + "x", "1 bytes after the last storage");
  std::string other = file;
  other[18] = '\xea';
  expect_refused(other, "another protocol version than 1001");
  other = file;
  other[other.find("\x88u.")] = '\x89';
  expect_refused(other, "not written on a little-endian machine");
  other = file;
  other[file.size() - 12 - 8] = 4;  // the last storage's count
  expect_refused(other, "storage \"0\" of 4 elements, expected 3");
  other = file;
  other[other.rfind("X\1") + 5] = '1';  // its key, in the list of keys
  expect_refused(other, "storage \"1\" comes twice or is not used");
  for (size_t bit = 0; bit < 8 * file.size(); ++bit) {
    std::string bent = file;
    bent[bit / 8] = static_cast<char>(bent[bit / 8] ^ (1 << bit % 8));
    try {
      const Opened opened(bent);
      for (const SourceTensor& tensor : opened.file.tensors()) opened.file.read(tensor);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
    }
  }
}

TEST(TorchFile, NoFlippedBitOfAContainerDoesHarm) {
  TorchWriter writer;
  writer.add("inn/w", testing::random_tensor({2, 3}, DType::f32, 1));
  const std::string file = writer.write();
  for (size_t length = 0; length < file.size(); ++length)
    EXPECT_THROW(Opened(file.substr(0, length)), Error) << length;
  for (size_t bit = 0; bit < 8 * file.size(); ++bit) {
    std::string bent = file;
    bent[bit / 8] = static_cast<char>(bent[bit / 8] ^ (1 << bit % 8));
    try {
      const Opened opened(bent);
      opened.file.verify();
      for (const SourceTensor& tensor : opened.file.tensors()) opened.file.read(tensor);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
    }
  }
}

TEST(TorchFile, IsReadFromTheDiskAndToldFromOthers) {
  const testing::TemporaryFolder folder;
  TorchWriter writer;
  writer.add("w", testing::random_tensor({3}, DType::f32, 1));
  const std::string path = folder.file("a.pt");
  write_atomic(path, writer.write());
  const auto source = open_tensor_source(path);
  EXPECT_EQ(source->file(), path);
  EXPECT_EQ(source->tensors().size(), 1U);
  write_atomic(path, "something else");
  testing::expect_error(ErrorKind::data, ":0: neither a PyTorch nor a safetensors file",
                        [&] { open_tensor_source(path); });
  write_atomic(path, "");
  testing::expect_error(ErrorKind::data, "neither", [&] { open_tensor_source(path); });
  testing::expect_error(ErrorKind::data, "No such file",
                        [&] { open_tensor_source(folder.file("absent")); });
  testing::expect_error(ErrorKind::data, "regular file",
                        [&] { open_tensor_source(folder.path()); });
}

}  // namespace
}  // namespace pal
