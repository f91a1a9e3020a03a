#include "experiments/trust/model_calibration.h"
#include "layers/checkpoint/safetensors.h"
#include "tests/fuzz/fuzz.h"

namespace {

/// Notes the file's own digest in it, where it has a place for one, so that what follows is read.
std::vector<uint8_t> with_digest(std::span<const uint8_t> file) {
  std::vector<uint8_t> bytes(file.begin(), file.end());
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  constexpr std::string_view kKey = "\"digest\":\"";
  constexpr size_t kDigits = 32;
  const size_t found = text.find(kKey);
  if (found == std::string_view::npos || found + kKey.size() + kDigits > bytes.size()) return bytes;
  const size_t at = found + kKey.size();
  const std::string digest = pal::safetensors_digest(bytes, static_cast<int64_t>(at));
  std::ranges::copy(digest, bytes.begin() + static_cast<std::ptrdiff_t>(at));
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::vector<uint8_t> file = with_digest({bytes, size});
  return pal::fuzz::run_file(file.data(), file.size(), [](const std::string& path) {
    pal::ModelCalibration::load(path, "");
  });
}
