#include "experiments/robustness/ood_suite.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  return pal::fuzz::run_file(bytes, size, [](const std::string& path) { pal::read_suite(path); },
                             {pal::ErrorKind::data, pal::ErrorKind::usage});
}
