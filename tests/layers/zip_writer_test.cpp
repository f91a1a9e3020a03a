// What is written as zip, .npz and PyTorch file, read back by our own readers.
#include "layers/checkpoint/zip_writer.h"

#include <gtest/gtest.h>

#include <cstring>

#include "layers/checkpoint/npz_writer.h"
#include "layers/checkpoint/torch_file.h"
#include "layers/checkpoint/torch_writer.h"
#include "layers/checkpoint/zip_reader.h"
#include "runtime/error.h"
#include "tests/support/numeric.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

ZipPart part(const std::string& name, const std::string& text) {
  return {name, static_cast<int64_t>(text.size()), [text](const ByteSink& sink) {
            sink({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
          }};
}

StoredTensor stored(const std::string& name, const char* dtype, std::vector<int64_t> shape,
                    const std::string& bytes) {
  return {name, dtype, std::move(shape), static_cast<int64_t>(bytes.size()),
          part(name, bytes).feed};
}

std::string text_of(const ZipReader& zip, const std::string& name) {
  const ZipEntry* entry = zip.find(name);
  if (entry == nullptr) return "no " + name;
  std::string text(static_cast<size_t>(entry->size), ' ');
  zip.read(*entry, {reinterpret_cast<uint8_t*>(text.data()), text.size()});
  return text;
}

TEST(ZipWriter, WritesWhatTheReaderReads) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("a.zip");
  const std::vector<ZipPart> parts = {part("a/one", "hello"), part("two", ""),
                                      part("three", std::string(1000, 'x'))};
  // From size 0 on all is wide, from 600 on what lies behind it, from 2^32 - 1 on nothing.
  for (const int64_t wide_from : {int64_t{0}, int64_t{600}, kZip64From}) {
    write_zip(path, parts, wide_from);
    const FileReader file(path, path);
    const ZipReader zip(file);
    ASSERT_EQ(zip.entries().size(), 3U);
    EXPECT_TRUE(zip.has_checksums());
    for (const ZipEntry& entry : zip.entries()) EXPECT_EQ(entry.begin % 64, 0) << entry.name;
    EXPECT_EQ(text_of(zip, "a/one"), "hello");
    EXPECT_EQ(text_of(zip, "two"), "");
    EXPECT_EQ(text_of(zip, "three"), std::string(1000, 'x'));
  }
  write_zip(path, {});
  const FileReader file(path, path);
  EXPECT_TRUE(ZipReader(file).entries().empty());
}

TEST(ZipWriter, KeepsMoreEntriesThanSixteenBitsCount) {
  const testing::TemporaryFolder folder;
  std::vector<ZipPart> parts;
  for (int i = 0; i < 65'536; ++i) parts.push_back(part(std::to_string(i), ""));
  write_zip(folder.file("a"), parts);
  const FileReader file(folder.file("a"), "a");
  EXPECT_EQ(ZipReader(file).entries().size(), parts.size());
}

TEST(ZipWriter, RefusesNamesThatNoReaderTakes) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("a.zip");
  for (const char* name : {"", "/a", "../a", "a/..", "a\\b"})
    testing::expect_error(ErrorKind::usage, "is not a plain relative one",
                          [&] { write_zip(path, {part(name, "x")}); });
  testing::expect_error(ErrorKind::usage, "\"a\" comes twice", [&] {
    write_zip(path, {part("a", "x"), part("a", "x")});
  });
  ZipPart wrong = part("a", "xy");
  wrong.size = 3;
  testing::expect_error(ErrorKind::usage, "expected 3 bytes, got 2",
                        [&] { write_zip(path, {wrong}); });
}

TEST(NpzWriter, WritesArraysAsNumPyDoes) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("a.npz");
  write_npz(path, {{"format", "x"}},
            {stored("z", "F32", {2, 1}, std::string("\0\0\x80\x3f\0\0\0\xc0", 8)),
             stored("n", "I64", {}, std::string(8, '\1')), stored("empty", "BOOL", {0}, ""),
             stored("b", "BF16", {3}, std::string("\x80\x3f\0\xc0\xc0\x7f", 6))});
  const FileReader file(path, path);
  const ZipReader zip(file);
  const auto npy = [](const std::string& dict, const std::string& values) {
    std::string text = dict;
    text.resize(117, ' ');
    return std::string("\x93NUMPY\x01\0\x76\0", 10) + text + "\n" + values;
  };
  EXPECT_EQ(text_of(zip, "z.npy"),
            npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }",
                std::string("\0\0\x80\x3f\0\0\0\xc0", 8)));
  EXPECT_EQ(text_of(zip, "n.npy"),
            npy("{'descr': '<i8', 'fortran_order': False, 'shape': (), }", std::string(8, '\1')));
  EXPECT_EQ(text_of(zip, "empty.npy"),
            npy("{'descr': '|b1', 'fortran_order': False, 'shape': (0,), }", ""));
  EXPECT_EQ(text_of(zip, "b.npy"), npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
                                       std::string("\0\0\x80\x3f\0\0\0\xc0\0\0\xc0\x7f", 12)));
  EXPECT_EQ(text_of(zip, "__metadata__.npy"),
            npy("{'descr': '|u1', 'fortran_order': False, 'shape': (14,), }", R"({"format":"x"})"));
  testing::expect_error(ErrorKind::usage, "NumPy has no type F8_E4M3",
                        [&] { write_npz(path, {}, {stored("f", "F8_E4M3", {1}, "x")}); });
}

TEST(TorchWriter, WritesWhatTorchFileReads) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("a.pt");
  write_torch_file(path, {TorchGroup{"inn",
                                     {stored("a.b", "F32", {1, 300, 2}, std::string(2400, '\2')),
                                      stored("n", "I64", {}, std::string(8, '\0'))}},
                          TorchGroup{"",
                                     {stored("mu", "BF16", {70'000}, std::string(140'000, '\3')),
                                      stored("none", "F64", {0, 3}, "")}}});
  const TorchFile file(path);
  EXPECT_FALSE(file.is_legacy());
  EXPECT_EQ(file.keys(), (std::vector<std::string>{"inn", "mu", "none"}));
  ASSERT_EQ(file.tensors().size(), 4U);
  const SourceTensor* first = file.find("inn.a.b");
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->shape, (std::vector<int64_t>{1, 300, 2}));
  EXPECT_EQ(file.TensorSource::read(*first), std::vector<uint8_t>(2400, 2));
  EXPECT_EQ(file.find("mu")->dtype_name, "BF16");
  EXPECT_EQ(file.TensorSource::read(*file.find("mu")), std::vector<uint8_t>(140'000, 3));
  EXPECT_EQ(file.find("inn.n")->numel(), 1);
  EXPECT_EQ(file.find("none")->shape, (std::vector<int64_t>{0, 3}));
  testing::expect_error(ErrorKind::usage, "PyTorch has no storage of U16", [&] {
    write_torch_file(path, {TorchGroup{"", {stored("u", "U16", {1}, "xy")}}});
  });
}

}  // namespace
}  // namespace pal
