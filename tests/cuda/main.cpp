// Runs the tests of the CUDA backend on the GPU; in the emulator if this is an emulated build. Exit
// code 77, which ctest reports as skipped, where there is no GPU.
#include <gtest/gtest.h>

#include <cstdio>

#include "runtime/cuda.h"
#ifdef PAL_EMULATE_CUDA
#include "tests/emulator/cuda_emulator.h"
#endif

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
#ifdef PAL_EMULATE_CUDA
  emulator::set_device_count(1);
#endif
  if (!testing::GTEST_FLAG(list_tests) && pal::cuda::device_count() == 0) {
    std::puts("SKIPPED: no GPU");
    return 77;
  }
  return RUN_ALL_TESTS();
}
