#!/bin/sh
# Builds the release preset's benches and runs them on the CPU: prints tables and writes
# bench/results/cpu-MODEL-DATE.json (kernels), ...-memory.json and ...-steps.json; with
# PALINDROME_PHOTOS, a folder that make_photos.py made, also ...-loader.json, beside torchvision if
# PALINDROME_PYTHON is a Python that has it.
# Options go to bench_kernels, for example: bench/run.sh --benchmark_filter=coupling
set -eu
cd "$(dirname "$0")/.."

cmake --preset release >/dev/null
cmake --build --preset release --target bench_kernels activation_memory bench_train_step \
  bench_loader

model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1 | tr 'A-Z' 'a-z' |
  sed 's/([a-z]*)//g; s/[^a-z0-9]\{1,\}/-/g; s/^-//; s/-$//')
results=bench/results/cpu-${model:-unknown}-$(date +%Y-%m-%d)
bin=build/release/bin
mkdir -p bench/results

"$bin/bench_kernels" --summary "$results.json" "$@"
"$bin/activation_memory" --json >"$results-memory.json"
"$bin/bench_train_step" --arch ibinn-mnist,ibinn-small,ibinn-imagenet,resnet-small,resnet50 --precision fp32,bf16 --json \
  >"$results-steps.json"
if [ -n "${PALINDROME_PHOTOS:-}" ]; then
  "$bin/bench_loader" "$PALINDROME_PHOTOS" --json \
    ${PALINDROME_PYTHON:+--torch "$PALINDROME_PYTHON"} >"$results-loader.json"
fi
echo "results: $results.json, $results-memory.json, $results-steps.json"
