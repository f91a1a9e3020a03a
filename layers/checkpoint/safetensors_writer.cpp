#include "layers/checkpoint/safetensors.h"

#include <cstring>
#include <filesystem>
#include <set>

#include "layers/checkpoint/digest.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/json.h"

namespace pal {
namespace {

constexpr size_t kAlignment = 64;
// The digest is the first entry, so that its place does not depend on anything else.
constexpr std::string_view kHeaderBegin = R"({"__metadata__":{"digest":")";
constexpr size_t kDigestOffset = sizeof(uint64_t) + kHeaderBegin.size();

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
using Json = nlohmann::ordered_json;

std::string dump(const Json& json) { return json_text(json, -1, BadUtf8::replaced); }

bool is_transposed(const Tensor& tensor, FileLayout layout) {
  return layout == FileLayout::channel_first && tensor.rank() == 4;
}

std::vector<int64_t> shape_in_file(const Tensor& tensor, FileLayout layout) {
  if (is_transposed(tensor, layout))
    return {tensor.size(0), tensor.size(3), tensor.size(1), tensor.size(2)};
  std::vector<int64_t> shape;
  shape.reserve(static_cast<size_t>(tensor.rank()));
  for (int axis = 0; axis < tensor.rank(); ++axis) shape.push_back(tensor.size(axis));
  return shape;
}

/// Length, JSON and padding; the digest's digits are zeros.
std::string make_header(const std::map<std::string, std::string>& metadata,
                        const std::vector<StoredTensor>& tensors) {
  std::string text(sizeof(uint64_t), '\0');
  text += kHeaderBegin;
  text += std::string(Digest::kDigits, '0') + '"';
  for (const auto& [key, value] : metadata)
    if (key != "digest") text += ',' + dump(key) + ':' + dump(value);
  text += '}';
  int64_t offset = 0;
  for (const StoredTensor& tensor : tensors) {
    const Json entry = {{"dtype", tensor.dtype_name},
                        {"shape", tensor.shape},
                        {"data_offsets", {offset, offset + tensor.bytes}}};
    text += ',' + dump(tensor.name) + ':' + dump(entry);
    offset += tensor.bytes;
  }
  text += '}';
  text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');
  const uint64_t length = text.size() - sizeof(uint64_t);
  std::memcpy(text.data(), &length, sizeof length);
  return text;
}

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

void feed(const Tensor& on_device, FileLayout layout, const ByteSink& sink) {
  // One tensor at a time comes to the host.
  const Tensor tensor = on_device.to(Device());
  const Tensor stored = is_transposed(tensor, layout) ? to_channel_first(tensor) : tensor.dense();
  sink({static_cast<const uint8_t*>(stored.raw()), static_cast<size_t>(stored.bytes())});
}

void check_space(const std::string& path, int64_t needed) {
  const auto parent = std::filesystem::path(path).parent_path();
  const int64_t free = free_bytes(parent.empty() ? "." : parent.string());
  if (free >= 0 && free < needed)
    fail(ErrorKind::environment, "{}: needs {} bytes, {} are free; make room on the disk", path,
         needed, free);
}

}  // namespace

void write_safetensors(const std::string& path, const std::map<std::string, std::string>& metadata,
                       const NamedTensors& tensors, FileLayout layout) {
  std::vector<StoredTensor> stored;
  stored.reserve(tensors.size());
  for (const auto& entry : tensors) {
    const std::string& name = entry.first;
    const Tensor& tensor = entry.second;
    expect(tensor.defined(), "write_safetensors: tensor {} is not defined", printable(name));
    stored.push_back({name, safetensors_name_of(tensor.dtype()), shape_in_file(tensor, layout),
                      tensor.bytes(),
                      [tensor, layout](const ByteSink& sink) { feed(tensor, layout, sink); }});
  }
  write_safetensors(path, metadata, stored);
}

void write_safetensors(const std::string& path, const std::map<std::string, std::string>& metadata,
                       const std::vector<StoredTensor>& tensors) {
  std::set<std::string> names;
  int64_t data_bytes = 0;
  for (const StoredTensor& tensor : tensors) {
    expect(names.insert(tensor.name).second && tensor.name != "__metadata__",
           "write_safetensors: tensor name {} is taken", printable(tensor.name));
    data_bytes += tensor.bytes;
  }
  std::string header = make_header(metadata, tensors);
  check_space(path, static_cast<int64_t>(header.size()) + data_bytes);

  Digest digest;
  digest.update(bytes_of(header));
  for (const StoredTensor& tensor : tensors)
    tensor.feed([&](std::span<const uint8_t> bytes) { digest.update(bytes); });
  header.replace(kDigestOffset, Digest::kDigits, digest.hex());

  write_atomic(path, [&](const ByteSink& sink) {
    sink(bytes_of(header));
    for (const StoredTensor& tensor : tensors) tensor.feed(sink);
  });
}

}  // namespace pal
