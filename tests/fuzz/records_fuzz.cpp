#include "experiments/comparison/run_files.h"
#include "experiments/report/metrics_history.h"
#include "experiments/training/run_state.h"
#include "kernels/library/library_choices.h"
#include "layers/checkpoint/run_folder.h"
#include "layers/models/config.h"
#include "tests/fuzz/fuzz.h"

// JSON that programs read back: files of a run's folder, and texts in a checkpoint's metadata. Each
// reader gets each input.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using enum pal::ErrorKind;
  pal::fuzz::run_file(bytes, size, [](const std::string& path) {
    pal::RunRecord run;
    pal::read_curves(path, run);
    pal::read_machine(path, run);
    pal::metrics_history(path, 16);
    pal::read_choices(path);
  });
  pal::fuzz::run(bytes, size, [](std::span<const uint8_t> text) {
    pal::RunState state;
    pal::read_run_state({text.begin(), text.end()}, "file", state);
    pal::run_state_json(state);
  });
  return pal::fuzz::run(bytes, size,
                        [](std::span<const uint8_t> text) {
                          pal::config_from_json({text.begin(), text.end()}, "file");
                        },
                        {data, usage});
}
