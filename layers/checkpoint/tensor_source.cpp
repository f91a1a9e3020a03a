#include "layers/checkpoint/tensor_source.h"

#include <algorithm>
#include <cstring>

#include "layers/checkpoint/safetensors.h"
#include "layers/checkpoint/tensor_values.h"
#include "layers/checkpoint/torch_file.h"
#include "runtime/error.h"
#include "runtime/random_reader.h"

namespace pal {
namespace {

class SafetensorsSource : public TensorSource {
 public:
  explicit SafetensorsSource(const std::string& path) : file_(SafetensorsFile::read(path)) {
    std::vector<SourceTensor> tensors;
    for (const TensorInfo& info : file_.tensors())
      tensors.push_back(
          {info.name, info.dtype_name, info.shape, safetensors_item_size(info.dtype_name)});
    set_tensors(std::move(tensors));
    set_metadata(file_.metadata());
    file_.check_noted_digest();
  }
  const std::string& file() const override { return file_.name(); }
  using TensorSource::read;
  void read(const SourceTensor& tensor, std::span<uint8_t> target) const override {
    std::ranges::copy(file_.bytes_of(file_.tensors()[position_of(tensor)]), target.begin());
  }

 private:
  SafetensorsFile file_;
};

}  // namespace

int64_t SourceTensor::numel() const {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

int64_t SourceTensor::bytes() const { return numel() * item_bytes; }

const SourceTensor* TensorSource::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

std::vector<uint8_t> TensorSource::read(const SourceTensor& tensor) const {
  if (tensor.item_bytes == 0)
    fail(ErrorKind::data, "{}: tensor {} has dtype {}, which this program does not know", file(),
         printable(tensor.name), tensor.dtype_name);
  std::vector<uint8_t> bytes(static_cast<size_t>(tensor.bytes()));
  read(tensor, bytes);
  return bytes;
}

void TensorSource::read_floats(const SourceTensor& tensor, std::span<float> target) const {
  if (tensor.dtype_name == "F32")
    return read(tensor, {reinterpret_cast<uint8_t*>(target.data()), target.size_bytes()});
  const bool known = convert_to_float(tensor.dtype_name, read(tensor), target);
  if (!known)
    fail(ErrorKind::data, "{}: tensor {}: expected real numbers, found {}", file(),
         printable(tensor.name), tensor.dtype_name);
}

void TensorSource::set_tensors(std::vector<SourceTensor> tensors) {
  tensors_ = std::move(tensors);
  for (size_t i = 0; i < tensors_.size(); ++i)
    if (!index_.emplace(tensors_[i].name, i).second)
      fail(ErrorKind::data, "{}: tensor {} comes twice", file(), printable(tensors_[i].name));
}

std::optional<TensorFileKind> sniff_tensor_file(std::span<const uint8_t> head) {
  if (is_torch_file(head)) return TensorFileKind::torch;
  if (head.size() > 8 && head[8] == '{') return TensorFileKind::safetensors;
  return std::nullopt;
}

std::unique_ptr<TensorSource> open_tensor_source(const std::string& path) {
  std::vector<uint8_t> head;
  {
    const auto file = std::make_unique<FileReader>(path, path);
    head.resize(static_cast<size_t>(std::min<int64_t>(file->size(), 32)));
    file->read(0, head);
  }
  const auto kind = sniff_tensor_file(head);
  if (kind == TensorFileKind::torch) return std::make_unique<TorchFile>(path);
  if (kind == TensorFileKind::safetensors) return std::make_unique<SafetensorsSource>(path);
  fail(ErrorKind::data, "{}:0: neither a PyTorch nor a safetensors file", path);
}

}  // namespace pal
