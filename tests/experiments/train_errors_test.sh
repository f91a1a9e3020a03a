#!/usr/bin/env bash
# Usage: train_errors_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# What pal-train refuses: the exit code, one line that names the place, and nothing spoilt.
source "$(dirname "$0")/harness.sh" "$@"
tiny="$tiny --epochs 2 --threads 1 --quiet"
train=$programs/pal-train

trains() { succeeds pal-train "$@"; }

# refuse CODE TEXT ARGUMENTS: a fresh run folder that must not come to hold a checkpoint.
refuse() {
  local wanted=$1 text=$2
  shift 2
  rm -rf refused
  refuses "$wanted" "$text" pal-train "$@" -o refused
  expect_equal "" "$(newest_step refused)" "$*: wrote a checkpoint"
}

# Options.
refuse 2 "--ephocs: unknown option; did you mean --epochs?" $tiny --ephocs 3
refuse 2 "--beta: expected a number of at least 0" $tiny --beta -1
refuse 2 "--beta" $tiny --beta nan
refuse 2 "--lr: expected a number of at least 0, got 'inf'" $tiny --lr inf
refuse 2 "--lr" $tiny --lr 0,1
refuse 2 "--momentum" $tiny --momentum 1
refuse 2 "--wd: expected a number of at least 0" $tiny --wd -0.1
refuse 2 "--clip-grad" $tiny --clip-grad nan
refuse 2 "--mean" $tiny --mean nan
refuse 2 "--std" $tiny --std 0
refuse 2 "--milestones" $tiny --milestones 0.5,inf
refuse 2 "--batch-size: expected a whole number of at least 1" ${tiny/-b 16 /} -b 0
refuse 2 "training images of synthetic:4:512:8 do not fill a batch of 100000000000; use -b" ${tiny/-b 16 /} -b 100000000000
refuse 2 "epochs" $tiny --epochs 1e300
refuse 2 "--sched: expected one of" $tiny --sched cosin
refuse 2 "--widths" $tiny --widths 8,x
refuse 2 "strides" $tiny --strides 1,3
refuse 2 "--arch: expected one of ibinn-imagenet, ibinn-small, ibinn-mnist, resnet50, resnet-small, got 'resnet'" \
  $tiny --arch resnet
refuse 2 "--seed" $tiny --seed -1
refuse 2 "--stream-anchors" $tiny --stream-anchors 2x
refuse 2 "--memory-limit: expected bytes" $tiny --memory-limit 2XB
refuse 2 "--init-from: does not go with --resume" $tiny --init-from a --resume auto
refuse 2 "--precision: tf32 needs a GPU" $tiny --precision tf32
refuse 2 "--fused-products: needs a GPU and --precision bf16" $tiny --fused-products
refuse 2 "--precision" $tiny --precision fp8
refuse 4 "cuda" $tiny --device cuda
refuse 2 "error: --device: expected auto, cpu or cuda[:N]" $tiny --device tpu
refuse 2 "the nearest sizes are 28 and 32" ${tiny/512:8/512:30}
refuse 2 "synthetic" ${tiny/synthetic:4:512/synthetic:0}
refuse 4 "--memory-limit: 100.0 KiB do not suffice: parameters, gradients and optimizer need" \
  $tiny --memory-limit 100KiB
refuse 4 "choose a smaller network" $tiny --memory-limit 1B
# A limit that holds smaller batches says which, and that one goes.
planned=$(timeout 60 "$train" ${tiny/-b 16/-b 64} --dry-run --json |
  sed 's/.*"state_bytes":\([0-9]*\),"weight_copy_bytes":\([0-9]*\),"activation_bytes":\([0-9]*\),.*/\1 \2 \3/')
limit=$(echo "$planned" | awk '{ print $1 + $2 + int($3 / 2) }')
refuse 4 "batches of" ${tiny/-b 16/-b 64} --memory-limit "$limit"
fits=$(sed -n 's/.*; batches of \([0-9]*\) fit.*/\1/p' err)
expect "the batch that fits" timeout 60 "$train" ${tiny/-b 16/-b $fits} --memory-limit "$limit" --dry-run

# Configuration files. A name of as many parts as would fill the stack.
head -c 1000000 /dev/zero | tr '\0' 'a' | sed 's/aa/a./g' >long.toml
echo '= 1' >>long.toml
refuse 2 "long.toml:1: a name of more than 256 parts" $tiny --config long.toml
printf '# caf\303\251 \302\240\nlr = 0.1\nepochs\302\240 = 2\n' >space.toml
refuse 2 "space.toml:3: a character beyond ASCII" $tiny --config space.toml
printf 'lr = 0.1\n\000epochs = 2\n' >zero.toml
refuse 2 "zero.toml:2: a control character" $tiny --config zero.toml
printf 'epochs = 1\n\nlearning-rate = 0.1\n' >unknown.toml
refuse 2 "unknown.toml:3: learning-rate: unknown key" $tiny --config unknown.toml
printf 'ephocs = 1\n' >nearest.toml
refuse 2 "nearest.toml:1: ephocs: unknown key; did you mean epochs?" $tiny --config nearest.toml
printf 'epochs = 1\nlr = = 2\n' >bad.toml
refuse 2 "bad.toml:2: " $tiny --config bad.toml
printf 'epochs = 1\nepochs = 2\n' >twice.toml
refuse 2 "twice.toml:2: " $tiny --config twice.toml
printf 'lr = "fast"\n' >type.toml
refuse 2 "type.toml:1: lr" $tiny --config type.toml
printf 'lr = inf\n' >infinite.toml
refuse 2 "lr" $tiny --config infinite.toml
printf '[lr]\nvalue = 1\n' >table.toml
refuse 2 "table.toml:1: lr" $tiny --config table.toml
refuse 3 "absent.toml" $tiny --config absent.toml

# Data.
refuse 3 "absent" --dataset absent
refuse 3 "fashion-mnist" --dataset fashion-mnist "$scratch"

# u32 NUMBER: its four bytes, the highest first.
u32() {
  local at
  for at in 24 16 8 0; do printf "\\x$(printf %02x $(($1 >> at & 255)))"; done
}

# idx_folder FOLDER: 64 images of 8x8 of the classes 0 to 3.
idx_folder() {
  mkdir "$1"
  for part in train t10k; do
    {
      u32 2051; u32 64; u32 8; u32 8
      head -c 4096 < <(seq 4096 | tr -d '\n')
    } >"$1/$part-images-idx3-ubyte"
    {
      u32 2049; u32 64
      for _ in $(seq 16); do printf '\0\1\2\3'; done
    } >"$1/$part-labels-idx1-ubyte"
  done
}

idx_folder good
of_files="--blocks 1 --strides 1 --widths 8 --epochs 1 -b 8 --threads 1 --quiet --recalibrate-bn 2"
trains $of_files --dataset good -o from_files
cp -r good cut
truncate -s 4000 cut/train-images-idx3-ubyte
refuse 3 "cut/train-images-idx3-ubyte:" $of_files --dataset cut
cp -r good magic
printf '\1\1' | dd of=magic/train-images-idx3-ubyte conv=notrunc status=none
refuse 3 "magic/train-images-idx3-ubyte:0" $of_files --dataset magic
cp -r good label
printf '\14' | dd of=label/train-labels-idx1-ubyte bs=1 seek=11 conv=notrunc status=none
refuse 3 "label/train-labels-idx1-ubyte:11: label 12 of image 3" $of_files --dataset fashion-mnist label
cp -r good count
{ u32 2049; u32 32; head -c 32 /dev/zero; } >count/train-labels-idx1-ubyte
refuse 3 "32 labels for 64 images" $of_files --dataset count
cp -r good none
{ u32 2049; u32 0; } >none/train-labels-idx1-ubyte
refuse 3 "none/train-labels-idx1-ubyte" $of_files --dataset none
cp -r good missing
rm missing/t10k-labels-idx1-ubyte
refuse 3 "missing" $of_files --dataset missing
cp -r good grey
{ u32 2051; u32 64; u32 8; u32 8; head -c 4096 /dev/zero; } >grey/train-images-idx3-ubyte
run pal-train $of_files --dataset grey -o from_grey
expect "images of one colour: exit code $code: $(tail -n 1 err)" [ "$code" = 0 -o "$code" = 5 ]

# Checkpoints.
trains $tiny --checkpoint-every 20 -o run
last=run/checkpoints/step-56.safetensors
refuse 2 "a flow (ibinn-mnist), this run trains a ResNet (resnet-small)" \
  ${tiny/--blocks/-a resnet-small --blocks} --init-from run/checkpoints/final.safetensors
refuse 3 "no such file" $tiny --init-from absent.safetensors
refuse 3 "README" $tiny --resume "$source_folder/README.md"
head -c 3000 $last >cut.safetensors
refuse 3 "cut.safetensors" $tiny --resume cut.safetensors
refuse 3 "cut.safetensors" $tiny --init-from cut.safetensors
refuse 3 "not a Palindrome checkpoint" $tiny --resume "$source_folder/tests/golden/dct_n4.safetensors"
refuse 2 "widths was 8,8, is 8,16" ${tiny/8,8/8,16} --resume $last
refuse 2 "global-batch was 16, is 8" ${tiny/-b 16/-b 8} --resume $last
refuse 2 "mean was 0.286, is 0.5" $tiny --resume $last --mean 0.5
refuse 2 "classes was 4, is 5" ${tiny/:4:/:5:} --resume $last
cp -r run same
refuses 2 "already holds a run" pal-train $tiny -o same
expect_same {run,same}/checkpoints/step-56.safetensors
twice=${of_files/--epochs 1/--epochs 2}
trains $twice --dataset good --max-steps 3 -o changing
printf 'x' | dd of=good/train-images-idx3-ubyte bs=1 seek=100 conv=notrunc status=none
refuses 2 "the data changed" pal-train $twice --dataset good --resume auto -o changing
trains $twice --dataset good --resume auto --allow-data-change -o changing

cp -r run torn
head -c 3000 $last >torn/checkpoints/step-56.safetensors
trains $tiny --checkpoint-every 20 --resume auto -o torn
expect_match "warning: .*step-56.safetensors" err "warning of the torn checkpoint"
expect_same {run,torn}/checkpoints/final.safetensors
expect_steps torn 56
for file in torn/checkpoints/step-*; do : >"$file"; done
refuses 3 "none of 2 step checkpoints is whole" \
  pal-train $tiny --checkpoint-every 20 --resume auto -o torn

cp -r run other_threads
rm other_threads/checkpoints/step-56.safetensors
trains ${tiny/--threads 1/--threads 2} --resume auto -o other_threads
expect_match "warning: .*threads" err "warning of other threads"
trains $tiny --init-from run/checkpoints/final.safetensors -o second
trains $tiny --config run/config.toml --output again
trains --config run/config.toml --output again2 --quiet
expect_same {run,again2}/checkpoints/final.safetensors

# Folders and plans.
: >file
refuses 4 "file/run" pal-train $tiny -o file/run
refuses 4 "/proc/run" pal-train $tiny -o /proc/run
trains $tiny --dry-run -o dry
expect_not "--dry-run made a folder" [ -e dry ]
expect_text "network parameters" out "--dry-run: plan"
expect_match "activations: about .* KiB (of 5 blocks" out "--dry-run: plan of the memory"
trains $tiny --dry-run --activation-memory max -o dry
expect_text "all blocks stored" out "--activation-memory max"
refuse 2 "expected auto, min, max or bytes" $tiny --activation-memory some
refuse 4 "not even one image fits" $tiny --activation-memory 64
refuse 4 "the least is" $tiny --activation-memory 64 --dry-run

# Plans are kept: the peak of a step is what was promised, but for 8 KiB of scratch memory, which
# plans leave out and which count in so small a network.
peak_of() { sed -n 's/.*"peak_activation_bytes": \([0-9]*\).*/\1/p' "$1/summary.json"; }
for memory in min max; do
  trains $tiny --max-steps 3 --validate-every 0 --activation-memory $memory -o plan_$memory
done
limit=$((($(peak_of plan_min) + $(peak_of plan_max)) / 2))
trains $tiny --max-steps 3 --validate-every 0 --activation-memory $limit -o plan_bytes
expect "--activation-memory $limit: $(peak_of plan_bytes) bytes" \
  [ "$(peak_of plan_bytes)" -le $((limit + limit / 20 + 8192)) ]

# Standard output, files and the environment.
if [ -w /dev/full ]; then
  code=0
  timeout 60 "$train" $tiny --checkpoint-every 20 -o full >/dev/full 2>err || code=$?
  expect_refusal 4 "stdout" "a full stdout"
  expect_same {run,full}/checkpoints/final.safetensors
fi
timeout 60 "$train" $tiny --checkpoint-every 20 -o piped 2>err <&- | true || true
expect_same {run,piped}/checkpoints/final.safetensors
code=0
(ulimit -f 16 && timeout 60 "$train" $tiny -o limited >out 2>err) || code=$?
expect_refusal 4 "File too large" "a limit on files' sizes"
expect_no_leftovers limited "a limit on files' sizes"
code=0
(cd / && env -u HOME LC_ALL=xx_XX TZ=Mars timeout 60 "$train" $tiny --checkpoint-every 20 \
  -o "$scratch/odd") >out 2>err || code=$?
expect_code 0 "odd surroundings"
expect_same {run,odd}/checkpoints/final.safetensors
if localedef -i de_DE -f UTF-8 ./de_DE.UTF-8 2>/dev/null; then
  code=0
  env LOCPATH="$scratch" LC_ALL=de_DE.UTF-8 timeout 60 "$train" $tiny --checkpoint-every 20 \
    --lr 0.003 -o comma >out 2>err || code=$?
  expect_code 0 "decimal comma"
  expect_same {run,comma}/checkpoints/final.safetensors
else
  skip_part "decimal comma" "no sources of such a locale"
fi

# Numbers.
succeeds pal-train $tiny --max-steps 10 -o exploding
refuses 5 "step " pal-train --resume exploding --checkpoint-every 1 --keep-checkpoints 3 --lr 1e6 \
  --clip-grad 0 --burn-in 0 --max-steps 56
expect_match "error: step [0-9]\+: .*[a-z]\+[.][0-9a-z_.]\+" err "--lr 1e6: the tensor"
expect_whole exploding "--lr 1e6"
expect "--lr 1e6: the last good checkpoint is gone" [ -n "$(newest_step exploding)" ]

finish_test "refusals and surroundings behave"
