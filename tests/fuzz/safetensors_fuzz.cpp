#include "layers/checkpoint/safetensors.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  return pal::fuzz::run(bytes, size, [](std::span<const uint8_t> file) {
    const auto parsed = pal::SafetensorsFile::parse({file.begin(), file.end()}, "file");
    for (const pal::TensorInfo& tensor : parsed.tensors()) parsed.summarize(tensor);
    parsed.verify_digest();
  });
}
