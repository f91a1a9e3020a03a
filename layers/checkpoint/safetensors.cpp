#include "layers/checkpoint/safetensors.h"

#include <bit>
#include <cstring>

#include "layers/checkpoint/digest.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian");

constexpr int64_t kMostFileBytes = int64_t{1} << 40;

Shape shape_of(const std::vector<int64_t>& e) {
  switch (e.size()) {
    case 0:
      return {};
    case 1:
      return {e[0]};
    case 2:
      return {e[0], e[1]};
    case 3:
      return {e[0], e[1], e[2]};
    default:
      return {e[0], e[1], e[2], e[3]};
  }
}

template <typename T>
void transpose_inner(const Tensor& from, const Tensor& to, int64_t batch, int64_t rows,
                     int64_t columns) {
  const auto* in = static_cast<const T*>(from.raw());
  auto* out = static_cast<T*>(to.raw());
  parallel_for(batch * columns, row_grain(rows), [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) {
      const T* source = in + line / columns * rows * columns + line % columns;
      T* target = out + line * rows;
      for (int64_t row = 0; row < rows; ++row) target[row] = source[row * columns];
    }
  });
}

/// Transposes the [rows, columns] matrix of every batch entry of a dense tensor.
void transpose_inner(const Tensor& from, const Tensor& to, int64_t batch, int64_t rows,
                     int64_t columns) {
  switch (size_of(from.dtype())) {
    case 8:
      return transpose_inner<uint64_t>(from, to, batch, rows, columns);
    case 4:
      return transpose_inner<uint32_t>(from, to, batch, rows, columns);
    case 2:
      return transpose_inner<uint16_t>(from, to, batch, rows, columns);
    default:
      return transpose_inner<uint8_t>(from, to, batch, rows, columns);
  }
}

}  // namespace

SafetensorsFile SafetensorsFile::read(const std::string& path, const SafetensorsLimits& limits) {
  return parse(read_file(path, kMostFileBytes), path, limits);
}

SafetensorsFile SafetensorsFile::parse(std::vector<uint8_t> bytes, const std::string& name,
                                       const SafetensorsLimits& limits) {
  SafetensorsFile file;
  file.header_ = parse_safetensors(bytes, name, limits);
  file.name_ = name;
  file.bytes_ = std::move(bytes);
  for (size_t i = 0; i < file.header_.tensors.size(); ++i)
    file.index_.emplace(file.header_.tensors[i].name, i);
  return file;
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const TensorInfo& tensor : tensors()) names.push_back(tensor.name);
  return names;
}

const TensorInfo& SafetensorsFile::info(const std::string& tensor) const {
  const auto found = index_.find(tensor);
  if (found == index_.end()) fail(ErrorKind::data, "{}:8: no tensor {}", name_, printable(tensor));
  return header_.tensors[found->second];
}

std::span<const uint8_t> SafetensorsFile::bytes_of(const TensorInfo& tensor) const {
  return std::span(bytes_).subspan(static_cast<size_t>(tensor.begin),
                                   static_cast<size_t>(tensor.end - tensor.begin));
}

Tensor SafetensorsFile::tensor(const std::string& name) const {
  const TensorInfo& wanted = info(name);
  const Shape shape = stored_shape(wanted, name_);
  const Tensor copy = Tensor::empty(shape, *wanted.dtype);
  const auto bytes = bytes_of(wanted);
  if (!bytes.empty()) std::memcpy(copy.raw(), bytes.data(), bytes.size());
  return copy;
}

std::optional<ValueSummary> SafetensorsFile::summarize(const TensorInfo& tensor) const {
  return summarize_values(tensor.dtype_name, bytes_of(tensor));
}

std::optional<std::string> SafetensorsFile::first_non_finite() const {
  for (const TensorInfo& tensor : tensors())
    if (const auto summary = summarize(tensor); summary && !summary->finite) return tensor.name;
  return std::nullopt;
}

bool SafetensorsFile::verify_digest() const {
  if (header_.digest_offset < 0) return false;
  const std::string& noted = header_.metadata.at("digest");
  return noted.size() == Digest::kDigits &&
         noted == safetensors_digest(bytes_, header_.digest_offset);
}

void SafetensorsFile::check_noted_digest() const {
  const auto noted = metadata().find("digest");
  if (noted != metadata().end() && is_digest(noted->second) && !verify_digest())
    fail(ErrorKind::data, "{}:8: the file does not match its digest; use another copy", name_);
}

Shape stored_shape(const TensorInfo& tensor, const std::string& file) {
  if (!tensor.dtype)
    fail(ErrorKind::data, "{}:{}: tensor {} has dtype {}, expected F32, F64, BF16, I32 or U8", file,
         tensor.begin, printable(tensor.name), tensor.dtype_name);
  std::vector<int64_t> extents = tensor.shape;
  while (extents.size() > Shape::kMaxRank && extents.front() == 1) extents.erase(extents.begin());
  if (extents.size() > Shape::kMaxRank)
    fail(ErrorKind::data, "{}:{}: tensor {} has {} extents, expected at most {}", file,
         tensor.begin, printable(tensor.name), tensor.shape.size(), Shape::kMaxRank);
  return shape_of(extents);
}

std::string safetensors_digest(std::span<const uint8_t> file, int64_t digest_offset) {
  const auto offset = static_cast<size_t>(digest_offset);
  expect(digest_offset >= 0 && offset + Digest::kDigits <= file.size(),
         "safetensors_digest: no room for a digest at byte {} of {}", digest_offset, file.size());
  Digest digest;
  digest.update(file.first(offset));
  digest.update(Digest::zeros());
  digest.update(file.subspan(offset + Digest::kDigits));
  return digest.hex();
}

bool verify_digest(std::span<const uint8_t> file, const std::string& name) {
  return SafetensorsFile::parse({file.begin(), file.end()}, name).verify_digest();
}

Tensor to_channel_first(const Tensor& tensor) {
  expect(tensor.rank() == 4, "to_channel_first: expected rank 4, got {}", tensor.shape().str());
  const Tensor source = tensor.dense();
  const Tensor target = Tensor::empty(
      {tensor.size(0), tensor.size(3), tensor.size(1), tensor.size(2)}, tensor.dtype());
  transpose_inner(source, target, tensor.size(0), tensor.size(1) * tensor.size(2), tensor.size(3));
  return target;
}

Tensor to_channel_last(const Tensor& tensor) {
  expect(tensor.rank() == 4, "to_channel_last: expected rank 4, got {}", tensor.shape().str());
  const Tensor source = tensor.dense();
  const Tensor target = Tensor::empty(
      {tensor.size(0), tensor.size(2), tensor.size(3), tensor.size(1)}, tensor.dtype());
  transpose_inner(source, target, tensor.size(0), tensor.size(1), tensor.size(2) * tensor.size(3));
  return target;
}

}  // namespace pal
