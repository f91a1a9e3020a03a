#!/usr/bin/env bash
# Installs what is missing, builds everything, runs all tests: those of the CUDA kernels in the
# emulator, under the sanitizers; where nvcc is found, the CUDA backend is compiled too. Each parser of
# foreign files is fuzzed for five seconds. Safe to run again.
#   ./tests/run.sh [ctest options]          options go to ctest: ./tests/run.sh -R golden
set -euo pipefail
cd "$(dirname "$0")/.."

cmake/setup.sh libgtest-dev libbenchmark-dev python3

has_cudnn() {
  local root
  root=$(dirname "$(dirname "$(readlink -f "$(command -v nvcc)")")")
  [ -e "$root/include/cudnn.h" ] || [ -e /usr/include/cudnn.h ] ||
    [ -e "/usr/include/$(uname -m)-linux-gnu/cudnn.h" ]
}
if ! command -v nvcc >/dev/null; then
  echo "CUDA: SKIPPED (no nvcc on PATH, so the CUDA backend is not compiled)"
elif ! has_cudnn; then
  echo "CUDA: SKIPPED (nvcc, but no cuDNN, so the CUDA backend is not compiled)"
else
  # NVIDIA's disassembler, for the test of the machine code, which is SKIPPED without.
  if ! command -v nvdisasm >/dev/null; then
    tools=$PWD/build/nvdisasm
    [ -d "$tools" ] || python3 -m pip install --quiet --target "$tools" nvidia-cuda-nvdisasm ||
      echo "CUDA: no nvdisasm, and pip brought none"
    PATH="$tools/nvidia/cu13/bin:$PATH"
  fi
  cmake --preset cuda-tests
  cmake --build --preset cuda-tests --target pal-train pal-evaluate pal-sample pal-inspect test_cuda \
    test_cudnn_plans
  ctest --preset cuda-tests -L cuda -j "$(nproc)" "$@"
fi

cmake --preset emulated -DPALINDROME_TESTS=ON -DPALINDROME_BENCH=ON
cmake --build --preset emulated --target test_emulator test_cuda make_pictures pal-train pal-evaluate \
  pal-sample pal-classify pal-explain pal-ood pal-robustness pal-attack pal-inspect bench_train_step
ctest --preset emulated -L cuda -j "$(nproc)" "$@"

tests/fuzz.sh 5

cmake --preset release -DPALINDROME_TESTS=ON -DPALINDROME_BENCH=ON
cmake --build --preset release
ctest --preset release -j "$(nproc)" "$@"
