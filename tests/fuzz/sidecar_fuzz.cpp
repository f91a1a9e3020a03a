#include "data/sources/class_list.h"
#include "data/sources/tar_labels.h"
#include "tests/fuzz/fuzz.h"

// What lies beside pictures: labels in shards, and lists of class names. Each parser gets each input.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using Bytes = std::span<const uint8_t>;
  pal::fuzz::run(bytes, size, [](Bytes file) { pal::parse_cls(file, "file"); });
  pal::fuzz::run(bytes, size, [](Bytes file) { pal::parse_json_label(file, "file"); });
  pal::fuzz::run(bytes, size, [](Bytes file) { pal::parse_class_json(file, "file"); });
  return pal::fuzz::run(bytes, size, [](Bytes file) { pal::parse_class_lines(file, "file"); });
}
