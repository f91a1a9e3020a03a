#pragma once

// Test-only stand-in for <cuda_runtime.h>: g++ compiles kernels against it, and they run on the
// processor, one fiber for each CUDA thread, where the sanitizers see every access. It shows no
// races between blocks that run at once, no effects of stream order, no fused rounding and no
// speed.
#include "tests/emulator/block.h"
#include "tests/emulator/control.h"
#include "tests/emulator/device_functions.h"
#include "tests/emulator/fault.h"
#include "tests/emulator/language.h"
#include "tests/emulator/launch.h"
#include "tests/emulator/nccl_api.h"
#include "tests/emulator/runtime_api.h"
