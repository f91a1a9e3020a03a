#include "bench/libtorch/tensors_file.h"

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace rival {
namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw std::runtime_error(path + ": " + why);
}

at::ScalarType type_of(const std::string& path, const std::string& name) {
  if (name == "F32") return at::kFloat;
  if (name == "I32") return at::kInt;
  if (name == "I64") return at::kLong;
  refuse(path, "expected tensors of F32, I32 or I64, got " + name);
}

}  // namespace

TensorsFile read_tensors(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) refuse(path, "cannot be read");
  uint64_t length = 0;  // little-endian in the file, as on every machine that runs this
  stream.read(reinterpret_cast<char*>(&length), sizeof(length));
  constexpr uint64_t kLongestHeader = 100'000'000;
  if (!stream || length > kLongestHeader) refuse(path, "is no safetensors file");
  std::string header(length, '\0');
  stream.read(header.data(), static_cast<std::streamsize>(length));
  const auto json = nlohmann::json::parse(header, nullptr, false);
  if (!stream || !json.is_object()) refuse(path, "is no safetensors file");
  TensorsFile file;
  try {
    for (const auto& [name, entry] : json.items()) {
      if (name == "__metadata__") {
        entry.get_to(file.metadata);
        continue;
      }
      const auto range = entry.at("data_offsets").get<std::array<int64_t, 2>>();
      const at::Tensor tensor =
          at::empty(entry.at("shape").get<std::vector<int64_t>>(),
                    at::TensorOptions(type_of(path, entry.at("dtype").get<std::string>())));
      if (range[0] < 0 || range[1] - range[0] != static_cast<int64_t>(tensor.nbytes()))
        refuse(path, name + ": the bytes do not fit the shape");
      stream.seekg(static_cast<std::streamoff>(sizeof(length) + length) + range[0]);
      stream.read(static_cast<char*>(tensor.data_ptr()),
                  static_cast<std::streamsize>(tensor.nbytes()));
      if (!stream) refuse(path, name + ": the file ends too early");
      file.tensors.emplace(name, tensor);
    }
  } catch (const nlohmann::json::exception&) {
    refuse(path, "the header is not as it should be");
  }
  return file;
}

}  // namespace rival
