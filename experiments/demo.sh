#!/usr/bin/env bash
# The main job from nothing: installs what is missing, builds, trains a generative classifier on
# 55,000 images of Fashion-MNIST (5,000 more choose the checkpoint), evaluates it on the 10,000 test
# images. About five minutes on two cores.
#   ./experiments/demo.sh [RUN_FOLDER]        (default: runs/demo, replaced if it exists)
set -euo pipefail
cd "$(dirname "$0")/.."
run=${1:-runs/demo}
if [ -e "$run" ] && [ ! -f "$run/run.json" ]; then
  echo "demo: error: $run: not a run folder; name another" >&2
  exit 2
fi

cmake/setup.sh dataset-fashion-mnist
# Handwritten digits, to be told from clothes: fetched beside the build, done without if not to be had.
cmake/fetch_digits.sh 2>/dev/null &
fetch=$!
cmake --preset release -DPALINDROME_TESTS=OFF -DPALINDROME_BENCH=OFF >/dev/null
cmake --build --preset release --target pal-train pal-evaluate pal-sample
ood=()
if wait "$fetch"; then ood=(--ood digits); else echo "demo: no digits, so no outlier detection" >&2; fi

bin=build/release/bin
rm -rf "$run"
"$bin/pal-train" --config experiments/demo.toml --output "$run" --memory-report
"$bin/pal-evaluate" "$run/checkpoints/best" --baseline --summary "$run/summary.json" "${ood[@]}"
"$bin/pal-sample" "$run" --output "$run/samples.png" --around images --real 3 -n 10
echo "results: $run/summary.json"
