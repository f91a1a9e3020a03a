#include "data/pictures/exif.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  return pal::fuzz::run(bytes, size, [](std::span<const uint8_t> exif) {
    const int value = pal::exif_orientation(exif).value;
    if (value < 1 || value > 8) std::abort();
  });
}
