#include "data/archives/idx.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  return pal::fuzz::run(bytes, size,
                        [](std::span<const uint8_t> file) { pal::parse_idx(file, "file"); });
}
