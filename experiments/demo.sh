#!/usr/bin/env bash
# The main job from nothing: installs what is missing, builds, trains a generative classifier on
# 55,000 images of Fashion-MNIST (5,000 more choose the checkpoint), evaluates it on the 10,000 test
# images. Five to ten minutes on two cores; a slow machine makes fewer epochs.
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
# As many of the nine epochs as this machine makes, by its pace over the last thirty of sixty steps,
# before six minutes are over in all; at least 105 seconds of them, at most 160.
trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT
"$bin/pal-train" --config experiments/demo.toml --max-steps 60 --validation 500 --recalibrate-bn 0 \
  --quiet --output "$trial/run" >/dev/null
rate=$(grep '"kind":"train"' "$trial/run/metrics.jsonl" | tail -n 30 |
  sed 's/.*"images_per_s":\([0-9]*\).*/\1/' | sort -n | sed -n 15p)
left=$((325 - SECONDS))
left=$((left < 105 ? 105 : left > 160 ? 160 : left))
epochs=$(awk -v images="$((rate * left))" 'BEGIN { most = images / 55000; printf "%.1f", most < 9 ? most : 9 }')
echo "demo: $rate images/s, so $epochs epochs"

"$bin/pal-train" --config experiments/demo.toml --epochs "$epochs" --output "$run" --memory-report
"$bin/pal-evaluate" "$run/checkpoints/best" --baseline --summary "$run/summary.json" "${ood[@]}"
"$bin/pal-sample" "$run" --output "$run/samples.png" --real 3 -n 10
echo "results: $run/summary.json"
