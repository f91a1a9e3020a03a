#!/usr/bin/env bash
# Usage: folder_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# Training on pictures of a folder and of tar shards: the same bits whatever the number of decoding
# threads and wherever the run was stopped, bad pictures, changed data, evaluation by one and ten
# crops, the ResNet, the phase of the class means.
source "$(dirname "$0")/harness.sh" "$@"

trains() { succeeds pal-train "$@"; }
evaluates() { succeeds pal-evaluate "$@" --threads 1 --json; }

make_pictures set 3 40 45 37

flow="-a ibinn-small --blocks 1,1,1 --widths 8,8,8 -b 16 --threads 1"
small="$flow --image-size 16 --lr 0.02 --recalibrate-bn 3"
trains set $small --epochs 4 -j 2 -o whole
expect_steps whole 28
expect_text "120 pictures in 3 classes" err "count of pictures"
expect_text "120 training, 30 validation images 16x16x3, 3 classes" whole/log.txt counts
train_loss() { grep '"train"' "$1" | sed 's/.*"loss":\([^,]*\),.*/\1/'; }
mean() { awk '{ sum += $1 } END { print sum / NR }'; }
train_loss whole/metrics.jsonl >losses
expect "the loss did not fall" awk -v first="$(head -n 5 losses | mean)" \
  -v last="$(tail -n 5 losses | mean)" 'BEGIN { exit !(last < first) }'

# Decoding threads and stops in the middle of an epoch change nothing.
trains set $small --epochs 4 -j 0 -o none
trains set $small --epochs 4 -j 5 --max-steps 10 -o parts
trains set $small --epochs 4 -j 1 --max-steps 18 --resume auto -o parts
trains set $small --epochs 4 -j 3 --resume auto -o parts
expect_same {whole,none,parts}/checkpoints/final.safetensors
expect_same {whole,none,parts}/checkpoints/averaged.safetensors
expect_same_metrics whole parts

# Evaluation: the checkpoint holds no path, so the folder is named; one and ten crops.
cp whole/checkpoints/best alone.safetensors
run pal-evaluate alone.safetensors
expect_code 2 "evaluation without data"
expect_text "name the folder" err "evaluation without data"
evaluates whole/checkpoints/best set --save-outputs one.csv --baseline
expect_match '"images":30,.*"bits_per_dim_gaussian":' out "one crop"
expect_lines 31 one.csv outputs
expect_match '^29,set/val/class 2/.*\.JPEG,2,' one.csv outputs
evaluates whole/checkpoints/best set --crops 10
expect_text '"crops":10,' out "ten crops"
evaluates whole/checkpoints/best set --split train --recalibrate-bn 2
run pal-evaluate whole/checkpoints/best set --crops 5
expect_code 2 "--crops 5"

# Pictures that cannot be read.
cp -r set bad
for name in 3 9 30; do
  file=$(ls -d bad/train/*/$name.JPEG)
  head -c 300 "$file" >cut && mv cut "$file"
done
refuses 3 "bad/train/class 0/" pal-train bad $small --epochs 1 -o refused
trains bad $small --epochs 2 --bad-images skip --bad-images-max 0.1 -o skipped
expect_lines 3 skipped/bad_images.txt bad_images.txt
expect_text '"bad_images": 3' skipped/summary.json "summary of bad pictures"
refuses 3 "with it 3 of 120 pictures (2.5 %) cannot be read, more than the 2 % that may be left out" \
  pal-train bad $small --epochs 2 --bad-images skip --bad-images-max 0.02 -o many
cp bad/train/class\ 0/3.JPEG bad/val/class\ 0/bad.jpg
run pal-evaluate whole/checkpoints/best bad --bad-images skip --bad-images-max 0.5 --json
expect_match '"bad_images":1,.*"images":30,' out "evaluation with a bad picture"
expect_match "warning: left out: .*bad.jpg" err "evaluation with a bad picture"
attack=(pal-attack whole/checkpoints/best bad --steps 2 -n 31 --bad-images skip --bad-images-max 0.5)
succeeds "${attack[@]}" -o attacked
expect_match "warning: left out: .*bad.jpg" err "an attack with a bad picture"
refuses 2 "made with reading" "${attack[@]}" -o attacked --resize 64

# Other data under a run.
trains set $small --epochs 1 --max-steps 3 -o changed
rm "$(ls -d set/train/*/8.JPEG)"
refuses 2 "the data changed" pal-train set $small --epochs 1 --resume auto -o changed
trains set $small --epochs 1 --resume auto --allow-data-change -o changed
cp -r set/val/class\ 2 set/val/class\ 3
refuses 2 "class 'class 3' is in val/ but not in train/" pal-train set $small --epochs 1 -o more
rm -r set/val/class\ 3
mkdir set/train/empty
refuses 2 "empty" pal-train set $small --epochs 1 -o more
rm -r set/train/empty
seq -f "name %g" 3 >names.txt
trains set $small --epochs 1 --max-steps 1 --class-names names.txt -o named
succeeds pal-inspect --json named/checkpoints/step-1.safetensors
expect_text "name 3" out "class names"

# Folders of WordNet ids: what a class is called does not depend on which of the others are there, and
# a part of them is found in the model by name.
mkdir -p synsets/train synsets/val part
ids=(n01440764 n02012849 n03126707)
for c in 0 1 2; do
  for split in train val; do ln -s "../../set/$split/class $c" synsets/$split/${ids[c]}; done
done
printf '%s\n' "n01440764 tench, Tinca tinca" "n02012849 crane" "n03126707 crane" "n09999999 other" >map.txt
trains synsets $small --epochs 1 --class-names map.txt -o synsets_run
for c in 0 2; do ln -s "../set/val/class $c" part/${ids[c]}; done
evaluates synsets_run/checkpoints/best part --class-names map.txt --save-outputs part.csv
expect_text '"classes_among":2,' out "a part of the classes by id"
expect_equal "0 2" "$(tail -n +2 part.csv | cut -d, -f3 | sort -u | xargs)" "labels of a part of the classes"
expect_text "crane (n03126707)" part.csv "one of two cranes"
trains synsets $small --epochs 1 --max-steps 2 -o ids_run
evaluates ids_run/checkpoints/final.safetensors part --save-outputs part.csv
expect_equal "0 2" "$(tail -n +2 part.csv | cut -d, -f3 | sort -u | xargs)" "labels of a part of the ids"
succeeds pal-ood ids_run/checkpoints/final.safetensors part --against noise --threads 1

# Names that are not UTF-8: of a class, a picture, the data and the run.
latin=$(printf 'caf\351')
mkdir "$latin"
for split in train val; do
  mkdir -p "$latin/set/$split"
  for c in 0 1; do cp -r "set/$split/class $c" "$latin/set/$split/$c"; done
  cp -r "set/$split/class 2" "$latin/set/$split/$latin"
  mv "$(ls -d "$latin/set/$split/$latin"/*.JPEG | head -n 1)" "$latin/set/$split/$latin/$latin.JPEG"
done
trains "$latin/set" $small --epochs 2 --max-steps 10 -o "$latin/run"
trains "$latin/set" $small --epochs 2 --resume auto -o "$latin/run"
expect_steps "$latin/run" 14
trains "$latin/set" $small --epochs 2 -o latin_run
expect_same {"$latin/run",latin_run}/checkpoints/final.safetensors
succeeds pal-inspect --json latin_run/checkpoints/final.safetensors
expect_text 'caf\\\\xe9' out "a class name in UTF-8"
evaluates latin_run/checkpoints/final.safetensors "$latin/set" --save-outputs latin.csv
expect_text 'caf\xe9' latin.csv "a class name in UTF-8"
evaluates "$latin/run/checkpoints/final.safetensors" "$latin/set" --summary "$latin/run/summary.json"
succeeds pal-classify --json latin_run/checkpoints/final.safetensors "$latin/set/val/$latin/$latin.JPEG"
succeeds pal-data pack "$latin/set" -o "$latin/shards" --shards 2
trains "$latin/shards" $small --epochs 1 --max-steps 2 -o latin_shards
evaluates latin_run/checkpoints/final.safetensors "$latin/shards"
for file in {"$latin/run",latin_run}/{run,summary}.json latin_run/metrics.jsonl; do
  expect "$file is not UTF-8" iconv -f UTF-8 -t UTF-8 "$file" -o /dev/null
done
trains "$latin/set" $small --epochs 1 --max-steps 2 --exclude-classes "$latin" -o latin_less
expect_text "2 classes" latin_less/log.txt "a class that is left out"

# Tar shards of the same pictures.
succeeds pal-data pack set -o shards --shards 3
trains shards $small --epochs 1 -o packed
evaluates packed/checkpoints/best shards
expect_text '"images":30,' out "the shards' validation part"
# What a pattern names is what is read, in training and in evaluation.
pattern='shards/train-{000000..000002}.tar'
trains --dataset "$pattern" $small --epochs 1 -o packed2
expect_text "$pattern: shards that were named are one part: 11 of its 119 pictures are held out" \
  err "a pattern of shards"
evaluates packed2/checkpoints/best --dataset "$pattern"
expect_text '"split":"held-out","chose_checkpoint":true' out "a pattern that was trained on"
expect_text '"images":11,' out "a pattern that was trained on"
evaluates packed2/checkpoints/best --dataset shards/val-000000.tar
expect_text '"images":30,' out "one shard"

# Other names and layouts of folders.
mkdir renamed
ln -s ../set/train renamed/Train
ln -s ../set/val renamed/validation
trains renamed $small --epochs 1 -o renamed_run
trains set $small --epochs 1 -o plain_run
expect_same {renamed,plain}_run/checkpoints/final.safetensors
ln -s ../set/val renamed/valid
refuses 2 "valid/ and validation/ may both be the val part" pal-train renamed $small -o more
trains set/train $small --epochs 1 -o flat
expect_text "set/train: class folders without train/ and val/: 11 of its 119 pictures are held out" \
  err "class folders alone"
expect_text "108 training images; 96 used per epoch: 12 are left over each epoch" err \
  "what an epoch leaves over"
evaluates flat/checkpoints/best set/val
expect_text '"images":30,' out "class folders alone"
mkdir only
ln -s ../set/val only/val
evaluates flat/checkpoints/best only
refuses 3 "only: has val/ but no train/; expected train/CLASS/PICTURE" pal-train only $small -o more
refuses 3 "did you mean set?" pal-train sett $small -o more
refuses 3 "train/CLASS/PICTURE" pal-train --dataset cifar10 $small -o more

# Classes go by name; one may lack validation pictures.
cp -r set fewer
mv fewer/val/class\ 0 fewer/gone
trains fewer $small --epochs 1 -o fewer_run
expect_text "warning: fewer/val: no pictures of 1 of the 3 classes of fewer/train: class 0" err \
  "a class without validation pictures"
mv fewer/val/class\ 1 fewer/gone/
evaluates plain_run/checkpoints/best fewer --save-outputs fewer.csv
expect_equal 2 "$(tail -n +2 fewer.csv | cut -d, -f3 | sort -u)" "labels of the only class left"

# What a folder holds besides.
echo text >fewer/train/notes.txt
mkdir fewer/train/class\ 1/more
mv fewer/train/class\ 1/1.JPEG fewer/train/class\ 1/more/
trains fewer $small --epochs 1 --max-steps 1 -o skips
expect_text "fewer/train: skipped 1 file that is no picture: notes.txt" err "skipped files"
expect_text "fewer/train: 1 picture in sub-folders of a class counts as its own" err "pictures in sub-folders"
run pal-train set --image-size 28 -b 16 --max-steps 1 --blocks 1,1 --strides 1,2 --widths 8,8 -o grey
expect_code 0 "coloured pictures for a grey network"
expect_text "pictures are coloured, but the network sees grey" err "coloured pictures for a grey network"

# The class means alone: the network stays.
means="$flow --image-size 16 --epochs 1 --finetune-mu 1 --recalibrate-bn 0"
trains set $means -o means
expect_steps means 14
run pal-inspect diff --max-lines 0 means/checkpoints/step-7.safetensors means/checkpoints/final.safetensors
grep '^tensor "model\.' out >changed.txt || true
expect "the class means did not change: $(head -n 5 out)" [ -s changed.txt ]
expect_not "the network changed with the class means: $(head -n 5 out)" \
  grep -qv '^tensor "model\.mu_' changed.txt
trains set $means --max-steps 9 -o means2
trains set $means --resume auto -o means2
expect_same means{,2}/checkpoints/final.safetensors

# Without improvement (batch norms settle, nothing else does) the plateau rule ends the stages and the
# run long before the thirty epochs; then the class means follow. A stop changes nothing.
plateau="$flow --image-size 16 --sched plateau --patience 1 --epochs 30 --lr 0 --lr-mu 0 --finetune-mu 1"
plateau="$plateau --opt sgd --momentum 0 --recalibrate-bn 0 --smoothing 0"
trains set $plateau -o plateau
expect_text "the class means alone from here on" plateau/log.txt "fine-tuning after the plateau"
steps=$(train_steps plateau | tail -n 1)
expect "--sched plateau: $steps steps" [ "$steps" -ge 35 ]
expect "--sched plateau: $steps steps" [ "$steps" -lt 140 ]
expect_steps plateau "$steps"
trains set $plateau --max-steps 12 -o plateau2
trains set $plateau --max-steps 30 --resume auto -o plateau2
trains set $plateau --resume auto -o plateau2
expect_same plateau{,2}/checkpoints/final.safetensors

# The baseline, by the same program.
resnet="-a resnet-small --image-size 16 --blocks 1,1,1 --widths 8,8,8 -b 16 --threads 1"
trains set $resnet --epochs 2 --check-every 5 --check-images 7 -o resnet
expect_match '"kind":"eval",.*"step":5,"images":7,' resnet/metrics.jsonl "a check on a sample"
expect_not "a ResNet has bits per dimension" grep -q bits_per_dim resnet/metrics.jsonl
trains set $resnet --epochs 2 --check-every 5 --check-images 7 --activation-memory min -o resnet2
evaluates resnet/checkpoints/best set --crops 10
expect_text '"bits_per_dim":null' out "a ResNet's density"
run pal-sample resnet/checkpoints/best
expect_code 2 "samples of a ResNet"
expect_text "only classifies" err "samples of a ResNet"
trains set $resnet --epochs 1 --finetune-mu 1 -o resnet3
expect_text "the linear layer alone from here on" resnet3/log.txt "--finetune-mu of a ResNet"

# Crops and sizes.
trains set $small --epochs 1 --max-steps 1 --resize 17 -o crops
refuses 2 "error: resize: expected the crop's size 16 to" \
  pal-train set $small --epochs 1 --resize 15 -o crops2
refuses 2 "error: --crop-scale: expected 0 < min <= max <= 1" \
  pal-train set $small --epochs 1 --crop-scale 0.5,0.2 -o crops2
refuses 2 "--image-size" pal-train set $small --epochs 1 --image-size 15 -o crops2
refuses 2 "image-size: 15 cannot be halved 3 times; the nearest sizes are 8 and 16" \
  pal-train set $flow --epochs 1 --image-size 15 -o crops2

# Pictures from nowhere.
trains --synthetic --classes 5 --image-size 16 $flow --max-steps 3 -o synthetic
expect_text "16x16x3, 5 classes" synthetic/log.txt --synthetic
refuses 2 "--synthetic" pal-train set --synthetic $flow -o synthetic2

finish_test "folders, shards and bad pictures behave"
