#include "layers/checkpoint/npz_writer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "layers/checkpoint/zip_writer.h"
#include "runtime/error.h"
#include "runtime/json.h"

namespace pal {
namespace {

constexpr const char* kBf16 = "BF16";
constexpr std::array<std::pair<const char*, const char*>, 14> kTypes = {{{"F64", "<f8"},
                                                                         {"F32", "<f4"},
                                                                         {kBf16, "<f4"},
                                                                         {"F16", "<f2"},
                                                                         {"I64", "<i8"},
                                                                         {"I32", "<i4"},
                                                                         {"I16", "<i2"},
                                                                         {"I8", "|i1"},
                                                                         {"U64", "<u8"},
                                                                         {"U32", "<u4"},
                                                                         {"U16", "<u2"},
                                                                         {"U8", "|u1"},
                                                                         {"BOOL", "|b1"},
                                                                         {"C64", "<c8"}}};

/// What stands before the values in an .npy file of format 1.0.
std::string npy_header(const std::string& type, const std::vector<int64_t>& shape) {
  constexpr size_t kHeaderAlignment = 64;
  std::string dict = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}",
                                 type, fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  const size_t begin = std::string_view("\x93NUMPY").size() + 2 + sizeof(uint16_t);
  const size_t end = begin + dict.size() + 1;
  dict.append((kHeaderAlignment - end % kHeaderAlignment) % kHeaderAlignment, ' ');
  dict += '\n';
  std::string header = "\x93NUMPY\x01";
  header += '\0';
  header += static_cast<char>(dict.size() & 0xffU);
  header += static_cast<char>(dict.size() >> 8U);
  return header + dict;
}

/// The float32 of the same value has a BF16's bits above 16 zeros.
void feed_bf16(const StoredTensor& tensor, const ByteSink& sink) {
  std::vector<uint8_t> wide;
  // A piece may end within a number.
  std::array<uint8_t, 2> number{};
  size_t have = 0;
  tensor.feed([&](std::span<const uint8_t> piece) {
    wide.clear();
    for (const uint8_t byte : piece) {
      number[have++] = byte;
      if (have < number.size()) continue;
      wide.insert(wide.end(), {0, 0, number[0], number[1]});
      have = 0;
    }
    sink(wide);
  });
}

ZipPart npy_of(const StoredTensor& tensor) {
  const bool is_bf16 = tensor.dtype_name == kBf16;
  const std::string header = npy_header(*numpy_type(tensor.dtype_name), tensor.shape);
  return {tensor.name + ".npy",
          static_cast<int64_t>(header.size()) + tensor.bytes * (is_bf16 ? 2 : 1),
          [header, is_bf16, &tensor](const ByteSink& sink) {
            sink({reinterpret_cast<const uint8_t*>(header.data()), header.size()});
            if (is_bf16)
              feed_bf16(tensor, sink);
            else
              tensor.feed(sink);
          }};
}

}  // namespace

std::optional<std::string> numpy_type(const std::string& dtype_name) {
  for (const auto& [name, type] : kTypes)
    if (dtype_name == name) return type;
  return std::nullopt;
}

void write_npz(const std::string& path, const std::map<std::string, std::string>& metadata,
               const std::vector<StoredTensor>& tensors) {
  // NumPy lists members by their names without ".npy".
  const std::string json = json_text(nlohmann::json(metadata), -1, BadUtf8::replaced);
  const StoredTensor described{kNpzMetadata,
                               "U8",
                               {static_cast<int64_t>(json.size())},
                               static_cast<int64_t>(json.size()),
                               [&json](const ByteSink& sink) {
                                 sink({reinterpret_cast<const uint8_t*>(json.data()), json.size()});
                               }};
  std::vector<ZipPart> parts = {npy_of(described)};
  for (const StoredTensor& tensor : tensors) {
    expect(numpy_type(tensor.dtype_name).has_value(), "write_npz: {}: NumPy has no type {}",
           printable(tensor.name), tensor.dtype_name);
    parts.push_back(npy_of(tensor));
  }
  write_zip(path, parts);
}

}  // namespace pal
