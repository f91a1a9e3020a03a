#!/bin/bash
# Usage: folder_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# Training on pictures of a folder and of tar shards: the same bits whatever the number of decoding
# threads and wherever the run was stopped, bad pictures, changed data, evaluation by one and ten
# crops, the ResNet, the phase of the class means.
set -u
source "$2/tests/experiments/train_functions.sh"
evaluate=$1/pal-evaluate
export XDG_CACHE_HOME=$scratch/cache
"$1/../tests/experiments/make_pictures" set 3 40 45 37 || fail "make_pictures"

flow="-a ibinn-small --blocks 1,1,1 --widths 8,8,8 -b 16 --threads 1"
small="$flow --image-size 16 --lr 0.02 --recalibrate-bn 3"
run set $small --epochs 4 -j 2 -o whole
expect_code 0 "a folder"
expect_steps whole 28
grep -q "120 pictures in 3 classes" err || fail "no count of pictures: $(cat err)"
grep -q "112 training, 30 validation images 16x16x3, 3 classes" whole/log.txt || fail "no counts"
train_loss() { grep '"train"' "$1" | sed 's/.*"loss":\([^,]*\),.*/\1/'; }
mean() { awk '{ sum += $1 } END { print sum / NR }'; }
awk -v first="$(train_loss whole/metrics.jsonl | head -n 5 | mean)" \
  -v last="$(train_loss whole/metrics.jsonl | tail -n 5 | mean)" 'BEGIN { exit !(last < first) }' ||
  fail "the loss did not fall"

# Decoding threads and stops in the middle of an epoch change nothing.
run set $small --epochs 4 -j 0 -o none
expect_code 0 "no decoding thread"
run set $small --epochs 4 -j 5 --max-steps 10 -o parts
run set $small --epochs 4 -j 1 --max-steps 18 --resume auto -o parts
run set $small --epochs 4 -j 3 --resume auto -o parts
expect_code 0 "in parts"
expect_same {whole,none,parts}/checkpoints/final.safetensors
expect_same {whole,none,parts}/checkpoints/averaged.safetensors
cmp <(timeless_metrics whole) <(timeless_metrics parts) || fail "a resumed run has other metrics"

# Evaluation: the checkpoint holds no path, so the folder is named; one and ten crops.
evaluates() { # FOLDER ARGUMENTS: acc1 and ce on stdout
  timeout 60 "$evaluate" "$@" --threads 1 --json >out 2>err || fail "pal-evaluate $*: $(cat err)"
}
timeout 60 "$evaluate" whole/checkpoints/best >out 2>err
[ $? = 2 ] && grep -q "name the folder" err || fail "evaluation without data: $(cat err)"
evaluates whole/checkpoints/best set --save-outputs one.csv --baseline
grep -q '"images":30,.*"bits_per_dim_gaussian":' out || fail "one crop: $(cat out)"
[ "$(wc -l <one.csv)" = 31 ] && grep -q "^29,set/val/class 2/.*\.JPEG,2," one.csv ||
  fail "outputs: $(tail -n 2 one.csv)"
evaluates whole/checkpoints/best set --crops 10
grep -q '"crops":10,' out || fail "ten crops: $(cat out)"
evaluates whole/checkpoints/best set --split train --recalibrate-bn 2
timeout 60 "$evaluate" whole/checkpoints/best set --crops 5 2>err
[ $? = 2 ] || fail "--crops 5"

# Pictures that cannot be read.
cp -r set bad
for name in 3 9 30; do
  file=$(ls -d bad/train/*/$name.JPEG)
  head -c 300 "$file" >cut && mv cut "$file"
done
run bad $small --epochs 1 -o refused
expect_refusal 3 "bad/train/class 0/" "a cut picture"
run bad $small --epochs 2 --bad-images skip --bad-images-max 0.1 -o skipped
expect_code 0 "--bad-images skip"
[ "$(wc -l <skipped/bad_images.txt)" = 3 ] || fail "bad_images.txt: $(cat skipped/bad_images.txt)"
grep -q '"bad_images": 3' skipped/summary.json || fail "summary without bad pictures"
run bad $small --epochs 2 --bad-images skip --bad-images-max 0.02 -o many
expect_refusal 3 "--bad-images-max" "too many bad pictures"
cp bad/train/class\ 0/3.JPEG bad/val/class\ 0/bad.jpg
timeout 60 "$evaluate" whole/checkpoints/best bad --bad-images skip --bad-images-max 0.5 --json >out 2>err
grep -q '"bad_images":1,.*"images":30,' out && grep -q "warning: left out: .*bad.jpg" err ||
  fail "evaluation with a bad picture: $(cat out err)"

# Other data under a run.
run set $small --epochs 1 --max-steps 3 -o changed
rm "$(ls -d set/train/*/8.JPEG)"
run set $small --epochs 1 --resume auto -o changed
expect_refusal 2 "the data changed" "a picture less"
run set $small --epochs 1 --resume auto --allow-data-change -o changed
expect_code 0 "--allow-data-change"
cp -r set/val/class\ 2 set/val/class\ 3
run set $small --epochs 1 -o more
expect_refusal 2 "class 3" "another class to validate"
rm -r set/val/class\ 3
mkdir set/train/empty
run set $small --epochs 1 -o more
expect_refusal 2 "empty" "an empty class"
rm -r set/train/empty
seq -f "name %g" 3 >names.txt
run set $small --epochs 1 --max-steps 1 --class-names names.txt -o named
expect_code 0 "--class-names"
timeout 20 "$inspect" --json named/checkpoints/step-1.safetensors | grep -qF 'name 3' || fail "class names"

# Tar shards of the same pictures.
timeout 60 "$1/pal-data" pack set -o shards --shards 3 >out 2>err || fail "pal-data pack: $(cat err)"
run shards $small --epochs 1 -o packed
expect_code 0 "a folder of shards"
run --dataset 'shards/train-{000000..000002}.tar' $small --epochs 1 -o packed2
expect_code 0 "a pattern of shards"
expect_same packed{,2}/checkpoints/final.safetensors
evaluates packed/checkpoints/best shards

# The class means alone: the network stays.
run set $flow --image-size 16 --epochs 1 --finetune-mu 1 --recalibrate-bn 0 -o means
expect_code 0 "--finetune-mu"
expect_steps means 14
timeout 20 "$inspect" diff means/checkpoints/step-7.safetensors means/checkpoints/final.safetensors >out
grep -q '^tensor "model\.' out && ! grep '^tensor "model\.' out | grep -qv '"model\.mu_' ||
  fail "the network changed with the class means: $(head -n 5 out)"
run set $flow --image-size 16 --epochs 1 --finetune-mu 1 --recalibrate-bn 0 --max-steps 9 -o means2
run set $flow --image-size 16 --epochs 1 --finetune-mu 1 --recalibrate-bn 0 --resume auto -o means2
expect_same means{,2}/checkpoints/final.safetensors

# Without improvement (batch norms settle, nothing else does) the plateau rule ends the stages and the
# run long before the thirty epochs; then the class means follow. A stop changes nothing.
plateau="$flow --image-size 16 --sched plateau --patience 1 --epochs 30 --lr 0 --lr-mu 0 --finetune-mu 1"
plateau="$plateau --momentum 0 --recalibrate-bn 0 --smoothing 0"
run set $plateau -o plateau
expect_code 0 "--sched plateau"
grep -q "the class means alone from here on" plateau/log.txt || fail "no fine-tuning after the plateau"
steps=$(train_steps plateau | tail -n 1)
[ "$steps" -ge 35 ] && [ "$steps" -lt 140 ] || fail "--sched plateau: $steps steps"
expect_steps plateau "$steps"
run set $plateau --max-steps 12 -o plateau2
run set $plateau --max-steps 30 --resume auto -o plateau2
run set $plateau --resume auto -o plateau2
expect_same plateau{,2}/checkpoints/final.safetensors

# The baseline, by the same program.
resnet="-a resnet-small --image-size 16 --blocks 1,1,1 --widths 8,8,8 -b 16 --threads 1"
run set $resnet --epochs 2 --check-every 5 --check-images 7 -o resnet
expect_code 0 "resnet-small"
grep -q '"kind":"eval",.*"step":5,"images":7,' resnet/metrics.jsonl || fail "no check on a sample"
grep -q bits_per_dim resnet/metrics.jsonl && fail "a ResNet has bits per dimension"
run set $resnet --epochs 2 --check-every 5 --check-images 7 --activation-memory min -o resnet2
expect_code 0 "resnet-small, recomputed"
evaluates resnet/checkpoints/best set --crops 10
grep -q '"bits_per_dim":null' out || fail "a ResNet's density: $(cat out)"
timeout 60 "$1/pal-sample" resnet/checkpoints/best 2>err
[ $? = 2 ] && grep -q "only classifies" err || fail "samples of a ResNet: $(cat err)"
run set $resnet --finetune-mu 1 -o resnet3
expect_refusal 2 "no class means" "--finetune-mu of a ResNet"

# Crops and sizes.
run set $small --epochs 1 --max-steps 1 --resize 17 -o crops
expect_code 0 "--resize"
run set $small --epochs 1 --resize 15 -o crops2
expect_refusal 2 "--resize: expected the crop" "--resize below the crop"
run set $small --epochs 1 --crop-scale 0.5,0.2 -o crops2
expect_refusal 2 "--crop-scale: expected 0 < min <= max <= 1" "--crop-scale"
run set $small --epochs 1 --image-size 15 -o crops2
expect_refusal 2 "--image-size" "two sizes"
run set $flow --epochs 1 --image-size 15 -o crops2
expect_refusal 2 "image-size: 15 cannot be halved 3 times; the nearest sizes are 8 and 16" "--image-size"

# Pictures from nowhere.
run --synthetic --classes 5 --image-size 16 $flow --max-steps 3 -o synthetic
expect_code 0 "--synthetic"
grep -q "16x16x3, 5 classes" synthetic/log.txt || fail "$(cat synthetic/log.txt)"
run set --synthetic $flow -o synthetic2
expect_refusal 2 "--synthetic" "--synthetic and a folder"

finish_test "folders, shards and bad pictures behave"
