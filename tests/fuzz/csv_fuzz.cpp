#include "experiments/attack_study/attack_targets.h"
#include "experiments/comparison/csv_rows.h"
#include "experiments/measures/corruption_errors.h"
#include "tests/fuzz/fuzz.h"

// Errors of a reference network, targets of attacks, and what pages read back.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const pal::OriginalImages originals{{}, {0, 1}, {3, 4}, {}};
  using enum pal::ErrorKind;
  pal::fuzz::run_file(bytes, size,
                      [](const std::string& path) { pal::read_reference_errors(path); });
  pal::fuzz::run_file(bytes, size,
                      [](const std::string& path) { pal::read_targets(path, originals, 10); },
                      {data, usage});
  return pal::fuzz::run(bytes, size, [](std::span<const uint8_t> file) {
    pal::csv_rows(std::string(file.begin(), file.end()));
  });
}
