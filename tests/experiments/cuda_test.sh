#!/bin/bash
# Usage: cuda_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# --device cuda keeps its word: a clean refusal where there is no GPU; else (in an emulated build
# too) programs train, stop, go on, evaluate and sample there as on the CPU.
set -u
source "$2/tests/experiments/train_functions.sh"
programs=$1

unset PAL_EMULATED_DEVICES
run $tiny --max-steps 1 --device cuda -o probe
if [ "$code" != 0 ]; then
  expect_refusal 4 "--device cuda" "a GPU that is not there"
  [ ! -e probe/metrics.jsonl ] || fail "a refused run began"
  run $tiny --max-steps 2 --device auto -q -o fallback
  expect_code 0 "auto without a GPU"
  grep -q '"device": "cpu"' fallback/run.json || fail "auto without a GPU: $(cat fallback/run.json)"
  if grep -q "no CUDA backend" err || ! PAL_EMULATED_DEVICES=1 timeout 60 "$train" $tiny \
    --max-steps 1 --device cuda -q -o emulated >out 2>err; then
    finish_test "cuda: refused cleanly; the rest SKIPPED (no GPU)"
    exit
  fi
  export PAL_EMULATED_DEVICES=1
fi

run $tiny --max-steps 1 --device cuda:7 -o none
expect_refusal 4 "cuda:7" "a GPU of a number that is not there"
run $tiny --max-steps 1 --device cuda --cuda-graph on --mixing householder -o none
expect_refusal 2 "--cuda-graph" "a graph of a mixing computed on the host"

short="--dataset synthetic:4:128:8 -b 16 --blocks 1,1 --strides 1,2 --widths 8,8 --recalibrate-bn 2
       --epochs 2 --threads 1 --inversion-check-every 4"
run $short --device cuda --cuda-graph off -o eager
expect_code 0 "eager steps"
grep -q '"device": "cuda:0 (' eager/run.json || fail "run.json: $(cat eager/run.json)"
expect_whole eager "eager"
run $short --device cuda --cuda-graph on -o graph
expect_code 0 "steps by a graph"
expect_same {eager,graph}/checkpoints/final.safetensors
expect_same {eager,graph}/checkpoints/averaged.safetensors
cmp <(timeless_metrics eager) <(timeless_metrics graph) || fail "a graph changes the metrics"

# A stop in the middle, at a step that the graph would have run.
run $short --device cuda --max-steps 9 -o parts
expect_code 0 "stop at step 9"
run $short --device cuda --resume auto -o parts
expect_code 0 "resume"
expect_same {graph,parts}/checkpoints/final.safetensors

# The CPU tells the same story.
run $short --device cpu -o cpu
expect_code 0 "the same on the CPU"
losses() { sed -n 's/.*"kind":"train".*"loss":\([-0-9.e]*\).*/\1/p' "$1/metrics.jsonl"; }
paste <(losses cpu) <(losses eager) | awk '
  { d = $1 - $2; if (d < 0) d = -d; if (d > worst) worst = d; n++ }
  END { if (n != 14 || worst > 1e-3) { print n " losses, worst difference " worst; exit 1 } }' ||
  fail "losses on the CPU and on the GPU differ"

for device in cpu cuda; do
  "$programs/pal-evaluate" graph/checkpoints/final.safetensors --device $device --json -q \
    >evaluated.$device 2>err || fail "pal-evaluate on $device: $(tail -n 1 err)"
  "$programs/pal-sample" graph/checkpoints/final.safetensors --device $device -n 2 --seed 5 \
    -o samples.$device.png >out 2>err || fail "pal-sample on $device: $(tail -n 1 err)"
  "$programs/pal-sample" graph/checkpoints/final.safetensors --device $device --reconstruct 4 --json \
    -o copies.png >out 2>err || fail "pal-sample --reconstruct on $device: $(tail -n 1 err)"
done
bits() { grep -o '"bits_per_dim":[^,}]*' "$1" | head -n 1 | cut -d: -f2; }
awk -v a="$(bits evaluated.cpu)" -v b="$(bits evaluated.cuda)" \
  'BEGIN { d = a - b; exit !(a != "" && d < 1e-4 && d > -1e-4) }' ||
  fail "bits/dim: $(bits evaluated.cpu) on the CPU, $(bits evaluated.cuda) on the GPU"

# A step that is not finite stops the run and names what broke; nothing is lost.
run $short --device cuda --lr 1e30 -o broken
expect_code 5 "a diverging run"
grep '^pal-train: error: ' err | grep -q "not finite\|loss is" || fail "diverging: $(tail -n 1 err)"

finish_test "cuda: trained, stopped, resumed, evaluated and sampled"
