#include <vector>

#include "tests/fuzz/fuzz.h"

// No parser of ours: it trusts a length in the file. tests/fuzz.sh must report it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  return pal::fuzz::run(bytes, size, [](std::span<const uint8_t> file) {
    if (file.size() < 2 || file[0] != 'P') return;
    const std::vector<uint8_t> content(file.begin() + 2, file.end());
    const uint8_t* const last = content.data() + file[1];
    if (*last == 'x') throw pal::Error(pal::ErrorKind::data, "file: ends in x");
  });
}
