#!/bin/bash
# Usage: measures_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-evaluate, pal-sample and pal-info on a tiny model that pal-train has just made: what they
# print and write, that repetition gives the same bytes, and one error line with the right exit code
# for whatever is wrong.
set -u
programs=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export OMP_NUM_THREADS=2
unset PALINDROME_DATA
failures=0

fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# run PROGRAM ARGUMENTS: output in $scratch/out and $scratch/err, exit code in $code.
run() {
  program=$1
  shift
  timeout 120 "$programs/$program" "$@" >"$scratch/out" 2>"$scratch/err"
  code=$?
}

expect_output() { # TEXT out|err
  grep -qF -- "$1" "$scratch/$2" || fail "$program: no '$1' in: $(cat "$scratch/$2")"
}

# succeeds PROGRAM ARGUMENTS
succeeds() {
  run "$@"
  [ "$code" = 0 ] || fail "$*: exit code $code: $(cat "$scratch/err")"
}

# refuses CODE TEXT PROGRAM ARGUMENTS: exit code, and one line on stderr that begins with the
# program's name and holds the text; nothing on stdout.
refuses() {
  wanted=$1
  text=$2
  shift 2
  run "$@"
  [ "$code" = "$wanted" ] || fail "$*: exit code $code, expected $wanted: $(cat "$scratch/err")"
  [ "$(grep -c "^$program: error: " "$scratch/err")" = 1 ] || fail "$*: $(cat "$scratch/err")"
  [ -s "$scratch/out" ] && fail "$*: stdout: $(cat "$scratch/out")"
  expect_output "$text" err
}

# value KEY: a number of the JSON answer's top level.
value() { sed 's/.*"'"$1"'":\([-0-9.e+]*\).*/\1/' "$scratch/out"; }

succeeds pal-train --dataset synthetic:4:256:8 --blocks 1,1 --widths 8,8 -b 32 --epochs 1 \
  --max-steps 2 --recalibrate-bn 2 --checkpoint-every 2 -o "$scratch/run" --progress never -q
model=$scratch/run/checkpoints/step-2.safetensors
[ -e "$model" ] || { fail "no checkpoint in $(find "$scratch/run")"; exit 1; }

# pal-evaluate
succeeds pal-evaluate "$model" --ood synthetic:9:64:8 --recalibrate-bn 3 --baseline \
  --save-outputs "$scratch/images.csv"
for text in "top-1 %" "bits/dim" "top-label ECE %" "insufficient" "quantile" \
  "231 training images" "independent Gaussians"; do
  expect_output "$text" out
done
[ "$(wc -l <"$scratch/images.csv")" = 65 ] || fail "images.csv: $(wc -l <"$scratch/images.csv") lines"
succeeds pal-evaluate "$model" --json -q
[ -s "$scratch/err" ] && fail "-q: $(cat "$scratch/err")"
for key in acc1 acc5 loss_x loss_y ce bits_per_dim ece images; do
  value "$key" | grep -qE '^-?[0-9.]+(e[-+]?[0-9]+)?$' || fail "--json: no number $key"
done
acc1=$(value acc1)
sed 's/"images_per_s":[^,}]*//g; s/"peak_bytes":[^,}]*//g' "$scratch/out" >"$scratch/first"
succeeds pal-evaluate "$model" --json -q --threads 1
sed 's/"images_per_s":[^,}]*//g; s/"peak_bytes":[^,}]*//g' "$scratch/out" >"$scratch/second"
cmp -s "$scratch/first" "$scratch/second" || fail "pal-evaluate: 1 and 2 threads differ"
succeeds pal-evaluate "$model" --save-outputs "$scratch/images.csv" -q
right=$(awk -F, 'NR > 1 && $3 == $4 { n++ } END { print n / (NR - 1) }' "$scratch/images.csv")
[ "$right" = "$acc1" ] || fail "acc1 is $acc1, but $right of the saved predictions are right"
succeeds pal-evaluate "$model" "$model" --json -q --split train -b 33
head -c 1 "$scratch/out" | grep -q '\[' || fail "two checkpoints: no array"
[ "$(grep -c '"images":256' "$scratch/out")" = 2 ] || fail "two checkpoints: $(cat "$scratch/out")"

echo '{"train_seconds": 3}' >"$scratch/summary.json"
succeeds pal-evaluate "$model" -q --summary "$scratch/summary.json"
grep -q '"train_seconds": 3' "$scratch/summary.json" && grep -q '"bits_per_dim"' "$scratch/summary.json" ||
  fail "--summary: $(cat "$scratch/summary.json")"
echo 'no' >"$scratch/summary.json"
refuses 3 "$scratch/summary.json" pal-evaluate "$model" -q --summary "$scratch/summary.json"
refuses 3 "no such file" pal-evaluate "$scratch/absent"
head -c 3000 "$model" >"$scratch/cut"
refuses 3 "$scratch/cut" pal-evaluate "$scratch/cut"
refuses 2 "8x8 with 1 channel(s), but synthetic:4:16:12 has 12x12" \
  pal-evaluate "$model" --dataset synthetic:4:16:12
refuses 2 "a model of 4 classes, but synthetic:6:16:8 has 6 (the first extra one is 'stripes 4')" \
  pal-evaluate "$model" --dataset synthetic:6:16:8
refuses 2 "has 12x12" pal-evaluate "$model" --ood synthetic:4:16:12 -q
refuses 3 "neither a data set" pal-evaluate "$model" --dataset "$scratch/absent"
refuses 2 "did you mean --split?" pal-evaluate "$model" --splt test
refuses 2 "--split: expected" pal-evaluate "$model" --split validation
refuses 2 "--batch-size" pal-evaluate "$model" -b 0
refuses 2 "tf32" pal-evaluate "$model" --precision tf32
refuses 2 "--dct-log-det" pal-evaluate "$model" --dct-log-det false
refuses 2 "one checkpoint at a time" pal-evaluate "$model" "$model" --save-outputs "$scratch/x.csv"
refuses 4 "would exceed the limit" pal-evaluate "$model" --memory-limit 20kB -q
refuses 4 "/absent/x.csv" pal-evaluate "$model" -q --save-outputs "$scratch/absent/x.csv"
refuses 2 "CHECKPOINT" pal-evaluate

# pal-sample
succeeds pal-sample "$model" -o "$scratch/all.png" -n 3 --seed 5
expect_output "12 pictures in $scratch/all.png" out
succeeds pal-inspect --json "$scratch/all.png"
expect_output '"width":28,"height":38,' out # 3 x 4 pictures of 8 pixels, 2 between
succeeds pal-sample "$model" -o "$scratch/again.png" -n 3 --seed 5 --threads 1
cmp -s "$scratch/all.png" "$scratch/again.png" || fail "pal-sample: equal seeds, unequal pictures"
succeeds pal-sample "$model" -o "$scratch/other.png" -n 3 --seed 6
cmp -s "$scratch/all.png" "$scratch/other.png" && fail "pal-sample: unequal seeds, equal pictures"
succeeds pal-sample "$model" -o "$scratch/two.png" -n 1 --class "stripes 2" --class 1 --json
expect_output '"classes":[2,1]' out
succeeds pal-sample "$model" -o "$scratch/pairs.png" --reconstruct 7 -n 4
expect_output "inversion error of 7 images: max" out
succeeds pal-inspect --json "$scratch/pairs.png"
expect_output '"width":38,"height":38,' out
succeeds pal-sample "$model" -o "$scratch/pairs.png" --reconstruct 7 --json
awk -v e="$(value max_error)" 'BEGIN { exit !(e > 0 && e < 1e-3) }' || fail "max_error: $(cat "$scratch/out")"
succeeds pal-sample "$model" -o "$scratch/line.png" --interpolate 0 63 -n 6
succeeds pal-inspect --json "$scratch/line.png"
expect_output '"width":58,"height":8,' out
refuses 2 "the model has classes 0 to 3, got 4" pal-sample "$model" --class 4
refuses 2 "did you mean 'stripes 2'?" pal-sample "$model" --class "strpes 2"
refuses 2 "test images 0 to 63, got 64" pal-sample "$model" --interpolate 0 64
refuses 2 "excludes" pal-sample "$model" --interpolate 0 1 --reconstruct 2
refuses 2 "--temperature" pal-sample "$model" --temperature nan
refuses 2 "64 test images, got 65" pal-sample "$model" --reconstruct 65
refuses 3 "$scratch/cut" pal-sample "$scratch/cut"
refuses 4 "/absent/x.png" pal-sample "$model" -o "$scratch/absent/x.png"

# pal-info
succeeds pal-info -a ibinn-imagenet --json
for text in '"parameters_network":55412304,' '"parameters_total":77486672,' \
  '"multiply_adds":6916661248,' '"multiply_adds_dense_mixing":2227212288,' \
  '"activation_bytes":{"store":'; do
  expect_output "$text" out
done
succeeds pal-info -a ibinn-imagenet -b 4
for text in 55,412,304 "9.08 G" "blocks.20 DCT pooling" "s_hi.5 conv 3x3/2" "batch 4"; do
  expect_output "$text" out
done
succeeds pal-info -a resnet50 --json
for text in '"parameters_network":23508032,' '"parameters_total":25557032,' \
  '"multiply_adds":4089184256,' '"activation_bytes":{"store":'; do
  expect_output "$text" out
done
succeeds pal-info -a resnet50
for text in 25,557,032 "4.07 G" "layer2.0 bottleneck" "branch.conv2 conv 3x3/2" recompute; do
  expect_output "$text" out
done
(ulimit -v 1500000; "$programs/pal-info" -a ibinn-imagenet --set classes=3000 >"$scratch/out") ||
  fail "pal-info: allocates parameters"
succeeds pal-info "$model"
expect_output "class means" out
succeeds pal-info "$model" --set widths=16,16 --flavour paper --json
expect_output '"widths":[16,16]' out
refuses 2 "no CHECKPOINT and no --arch" pal-info
refuses 2 "expected ibinn-imagenet" pal-info -a resnet
refuses 2 "did you mean image-size?" pal-info -a ibinn-mnist --set imagesize=32
refuses 2 "the nearest sizes are 28 and 32" pal-info -a ibinn-mnist --set image-size=30
refuses 3 "$scratch/cut" pal-info "$scratch/cut"

[ "$failures" = 0 ] && echo "the programs behave"
[ "$failures" = 0 ]
