#include "tests/fuzz/pictures.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  return pal::fuzz::run_pictures(bytes, size, pal::ImageFormat::png);
}
