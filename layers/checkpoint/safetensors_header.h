#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/dtype.h"

namespace pal {

/// What a reader of safetensors files is ready to accept.
struct SafetensorsLimits {
  int64_t header_bytes = 100'000'000;
  int64_t tensors = 1'000'000;
  int64_t rank = 16;
};

/// One tensor of a safetensors file.
struct TensorInfo {
  std::string name;
  /// As written in the file: "F32", "I64", ...
  std::string dtype_name;
  /// The engine's type; none if it has no such type.
  std::optional<DType> dtype;
  std::vector<int64_t> shape;
  /// Byte range within the file, [begin, end).
  int64_t begin = 0;
  int64_t end = 0;

  /// Product of the extents.
  int64_t numel() const;
};

/// The checked header of a safetensors file.
struct SafetensorsHeader {
  std::map<std::string, std::string> metadata;
  /// All tensors in the order of their bytes.
  std::vector<TensorInfo> tensors;
  /// Offset of the first byte after the header.
  int64_t data_begin = 0;
  /// Where in the file the 32 digits of the metadata entry `digest` stand; -1 if there is none.
  int64_t digest_offset = -1;
};

/// Parses and checks the header of a whole file at hand: lengths,
/// UTF-8, JSON of the fixed form without duplicate keys, integers only, products that do not
/// overflow, ranges of the right length without gap or overlap that end with the file. Of a tensor of
/// a type newer than this program only the length of its range is not known. `name` is the file in
/// error messages `name:OFFSET: ...`. Throws data. Memory is bounded by a small multiple of the file.
SafetensorsHeader parse_safetensors(std::span<const uint8_t> file, const std::string& name,
                                    const SafetensorsLimits& limits = {});
/// The same of a file of `file_bytes` bytes that begins with `head`, which need not hold more than
/// the header.
SafetensorsHeader parse_safetensors(std::span<const uint8_t> head, int64_t file_bytes,
                                    const std::string& name, const SafetensorsLimits& limits = {});
/// How many bytes of a file of `file_bytes` bytes hold its lengths and its header, by its first
/// bytes; 8 or fewer if those cannot be a safetensors file's.
int64_t safetensors_head_bytes(std::span<const uint8_t> start, int64_t file_bytes,
                               const SafetensorsLimits& limits = {});

/// Bytes of one element of a type of the safetensors format; 0 for an unknown one, and for those of
/// fewer bits than a byte has.
int64_t safetensors_item_size(const std::string& dtype_name);
/// The format's name of an engine type: f32 -> "F32".
std::string safetensors_name_of(DType dtype);

/// `text` in quotes for a one-line message: control characters replaced, cut after 80 bytes.
std::string printable(const std::string& text);

}  // namespace pal
