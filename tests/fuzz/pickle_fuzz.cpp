#include "layers/checkpoint/torch_file.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  return pal::fuzz::run(bytes, size, [](std::span<const uint8_t> file) {
    const pal::TorchFile torch(file, "file");
    for (const pal::SourceTensor& tensor : torch.tensors()) torch.read(tensor);
    torch.verify();
  });
}
