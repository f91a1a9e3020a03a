#!/bin/sh
# Builds the release preset's benches and runs them on the CPU: prints tables and writes
# bench/results/cpu-MODEL-DATE-*.json: kernels, memory, steps. With
#   PALINDROME_PYTHON  a Python that has PyTorch: kernels beside PyTorch's, and their roofline picture
#   PALINDROME_LIBTORCH  PyTorch's CMake prefix: builds torch_step, and times steps beside LibTorch
#   PALINDROME_PHOTOS  a folder that make_photos.py made: the loader, beside torchvision with the above
# (bench/README.md says what each measures). Half an hour with all of them; on a quiet machine.
set -eu
cd "$(dirname "$0")/.."

cmake --preset release -DPALINDROME_BENCH=ON ${PALINDROME_LIBTORCH:+-DPALINDROME_LIBTORCH=ON "-DCMAKE_PREFIX_PATH=$PALINDROME_LIBTORCH"} \
  >/dev/null
cmake --build --preset release --target bench_kernels activation_memory bench_train_step \
  bench_loader step_worker ${PALINDROME_LIBTORCH:+torch_step}

model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1 | tr 'A-Z' 'a-z' |
  sed 's/([a-z]*)//g; s/[^a-z0-9]\{1,\}/-/g; s/^-//; s/-$//')
results=bench/results/cpu-${model:-unknown}-$(date +%Y-%m-%d)
bin=build/release/bin
mkdir -p bench/results

if [ -n "${PALINDROME_PYTHON:-}" ]; then
  # 77: no matplotlib for the picture
  "$PALINDROME_PYTHON" bench/kernels/kernels.py --python "$PALINDROME_PYTHON" \
    --json "$results-kernels.json" --plot "$results-roofline.png" || [ $? -eq 77 ]
else
  "$bin/bench_kernels" --summary "$results-kernels.json"
fi
"$bin/activation_memory" --json >"$results-memory.json"
if [ -n "${PALINDROME_LIBTORCH:-}" ]; then
  # At the preset's own initial scale, deep float32 networks cannot be inverted.
  for arch in ibinn-mnist ibinn-small ibinn-imagenet resnet50; do
    case $arch in
      ibinn-imagenet) set -- --batches 8 --set act-norm-init=1 --set subnet-gain=0.1 ;;
      resnet50) set -- --batches 8 ;;
      *) set -- --batches 128 ;;
    esac
    bench/steps/step.py --ours "$bin/step_worker" --torch "$bin/torch_step" --arch $arch "$@" \
      --precisions fp32,bf16 --policies store,invert,auto --json "$results-steps-$arch.json"
  done
else
  "$bin/bench_train_step" --arch ibinn-mnist,ibinn-small,ibinn-imagenet,resnet-small,resnet50 \
    --precision fp32,bf16 --policy store,invert,auto --json >"$results-steps.json"
fi
if [ -n "${PALINDROME_PHOTOS:-}" ]; then
  "$bin/bench_loader" "$PALINDROME_PHOTOS" --json \
    ${PALINDROME_PYTHON:+--torch "$PALINDROME_PYTHON"} >"$results-loader.json"
fi
echo "results: $results-*"
