#!/usr/bin/env bash
# Usage: options_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# What programs make of options as people type them: other words, values that do not fit, options
# without effect, data named twice; and what they ask about themselves.
source "$(dirname "$0")/harness.sh" "$@"
bare="--dataset synthetic:4:512:8 -b 16 --strides 1,2 --threads 1 --epochs 1"
quick="$bare --blocks 1,1 --widths 8,8"
make_pictures photos 2 24 20 20
small="photos -a ibinn-small --image-size 16 --blocks 1,1,1 --widths 8,8,8 -b 16 --threads 1"

# refuse TEXT ARGUMENTS: exit code 2, and no run folder.
refuse() {
  local text=$1
  shift
  refuses 2 "$text" pal-train "$@" -o refused
  expect_not "$*: left a folder" [ -e refused ]
}
# warns TEXT ARGUMENTS: the run begins all the same.
warns() {
  local text=$1
  shift
  rm -rf warned
  succeeds pal-train "$@" --max-steps 2 --recalibrate-bn 1 -o warned
  expect_text "warning: $text" err "$*"
}

# Words from elsewhere.
refuse "--learning-rate: unknown option; use --lr" $quick --learning-rate 0.1
refuse "--weight-decay: unknown option; use --wd" $quick --weight-decay 0
refuse "--num-workers: unknown option; use --workers" $quick --num-workers 2
refuse "--model: unknown option; use --arch" $quick --model resnet50
refuse "--j: unknown option; use -j" $quick --j 2
refuse "-V: unknown option; use --version" $quick -V
refuse "--epoch: unknown option; use --epochs" $quick --epoch 3 --lr x
refuse "did you mean ibinn-small?" $quick -a ibin-small

# Values that do not fit.
refuse "--lr: expected a number of at least 0, got '0.1x'" $quick --lr 0.1x
refuse "--lr: expected a number of at least 0, got '0,1'" $quick --lr 0,1
refuse "--max-time: expected seconds, or a number with s, m, h or d, got '5 weeks'" \
  $quick --max-time "5 weeks"
refuse "--flip: expected true or false, got 'ture'" $quick --flip=ture
refuse "--keep-checkpoints: expected a whole number of at least 1, got '-1'" \
  $quick --keep-checkpoints -1
refuse "--mean: expected numbers from 0 to 1, with commas between them, got '127'" \
  $small --mean 127 127 127 --std 50 50 50
refuse "--mean: expected 3 values, one per channel, got 1" $small --mean 0.5
refuse "--blocks: expected numbers from 1 to 10000, with commas between them, got 'x'" $bare --blocks 1,x
refuse "--clamp: expected a number above 0" $quick --clamp 0
refuse "--image-size: 18 cannot be halved 3 times; the nearest sizes are 16 and 24" \
  ${small/--image-size 16/--image-size 18}
expect_empty out "a wrong size: no line about data before it"
expect_lines 1 err "a wrong size: no line about data before it"
refuse "--memory-limit: expected bytes such as" $quick --memory-limit 2XB
succeeds pal-train $quick --flip --no-noise --memory-limit 1.5G --dry-run
expect_text "flip true" out "a bare toggle"
expect_text "noise false" out "--no-noise"
: >ok.toml
refuses 4 "--output: ok.toml is a file" pal-train $quick -o ok.toml
refuses 4 "/proc/foo" pal-train $quick -o /proc/foo

refuse "--validation: expected a number above 0, or auto, got '0'" $quick --validation 0
refuse "--seed: expected a whole number of at least 0 after it, got the option -o" $quick --seed
printf '[model]\nbeta = 24\n' >section.toml
refuse "section.toml:1: model: a section; expected options without one" $quick --config section.toml
printf 'arch = ibinn-small\n' >bare.toml
refuse "(texts stand in quotes)" $quick --config bare.toml
succeeds pal-train $quick --print-config -o named
expect_match '^output = "named"' out "--print-config: the output"
expect_match '^# max-time = ' out "--print-config: what has no value yet"
cp out full.toml
succeeds pal-train --config full.toml --max-steps 1
expect "a file of --print-config runs where it says" [ -e named/run.json ]

# Data are named once, and hold no runs.
for place in photos photos/run; do
  refuses 2 "lies in the data" pal-train $small -o $place
  expect_not "$place: something was written into the data" [ -e $place/checkpoints ]
done
refuse "two data sets, 'photos' and --dataset warned; name one" photos --dataset warned
refuse "--synthetic: goes with no other data" photos --synthetic
refuse "DIR: no data; for example: pal-train photos -a ibinn-small -o run" -b 16

# Options that say nothing about the network, or have no effect.
resnet="-a resnet-small --image-size 16 --blocks 1,1,1 --widths 8,8,8 -b 16 --threads 1"
for option in "--coupling glow" "--clamp 2" "--beta 3" "--stream-anchors 4" "--lr-mu 1"; do
  refuse "${option% *}: is an option of flows, and this is a ResNet" photos $resnet $option
done
refuse "--freeze: a new network is random" $small --freeze network
warns "--milestones: has an effect only with --sched step" $quick --sched cosine --milestones 0.5
warns "--patience: has an effect only with --sched plateau" $quick --patience 3
warns "--crop-scale: has an effect only with pictures that are decoded" $quick --crop-scale 0.5,1
expect_not "a warning of an option that was not given" grep -q "class-names\|image-size" err
warns "--burn-in: 28 steps of 28" $quick --burn-in 100000
warns "--warmup-steps: 100000 steps of" $quick --warmup-steps 100000

# Pictures that do not suit the network.
warns "photos/train: pictures are coloured, but the network sees grey" photos -b 16 --threads 1 \
  --blocks 1,1 --widths 8,8
refuse "--batch-size: in batches of 1 the batch norm" photos \
  -a resnet-small --image-size 8 --blocks 1,1,1 --widths 8,8,8 -b 1
succeeds pal-train ${small/-b 16/-b 2} --max-steps 3 --recalibrate-bn 1 --json -o few
loss=$(sed -n 's/^{"kind":"train".*"loss":\([-0-9.e]*\),.*/\1/p' few/metrics.jsonl | tail -n 1)
expect "act norms fitted to two pictures: a loss of $loss" \
  awk -v loss="$loss" 'BEGIN { exit !(loss < 20) }'

# Questions.
for each in train evaluate sample data info inspect convert; do
  succeeds pal-$each --help
  expect_text "Usage: pal-$each" out "--help"
  expect "pal-$each --help: lines of more than 100 characters" \
    awk 'length($0) > 110 { exit 1 }' out
  succeeds pal-$each --man
  expect_text ".SH OPTIONS" out "pal-$each --man"
  succeeds pal-$each --completion bash
  expect "pal-$each --completion: not bash" bash -n out
  succeeds pal-$each --version
  expect_match "^pal-$each (Palindrome) [0-9.]*$" out "--version"
  expect_match "^build: .*, loops for .*, \\(not \\)\\?hardened$" out "--version: build"
  expect_match "^libraries: oneDNN [0-9.]*, libjpeg.* [0-9.]*, libpng [0-9.]*, zlib [0-9.]*, " out \
    "--version: libraries"
done
succeeds pal-train --help
tr -s ' \n' ' ' <out >help
for text in "slow, glow" "none, swap, permutation, orthogonal, householder, conv1x1" \
  "default 0.07 (ibinn-small, ibinn-mnist 0.003" "softplus, paper, sigmoid, exp"; do
  expect_text "$text" help "--help"
done
source <("$programs/pal-train" --completion bash)
COMP_WORDS=(pal-train --sched c)
COMP_CWORD=2
_pal_train
expect_equal "constant cosine" "${COMPREPLY[*]}" "completion of --sched c"

mkdir -p "here/red circles"
(
  cd here
  COMP_WORDS=(pal-train r)
  COMP_CWORD=1
  _pal_train
  [ "${COMPREPLY[*]}" = "red circles" ]
) || fail "completion of a name with a space"
COMP_WORDS=(pal-train --max-steps "")
COMP_CWORD=2
_pal_train
expect_equal none "${COMPREPLY[*]}" "completion of a word for a number"

# A folder called like a known set is the folder.
mv photos digits
succeeds pal-train ${small/photos/digits} --dry-run
expect_text "2 classes" out "a folder called digits"
mv digits photos

# pal-info takes the same words for the network.
succeeds pal-info -a ibinn-small --blocks 1,1,1 --image-size 64
expect_text "32x32x12" out "pal-info --image-size: after Haar"
refuses 2 "--clamp: is an option of flows" pal-info -a resnet50 --clamp 2
refuses 2 "--bloks: unknown option; did you mean --blocks?" pal-info few --bloks 1,1,1 -a ibinn-small

finish_test "options behave"
