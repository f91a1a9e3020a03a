#!/usr/bin/env bash
# Usage: first_hour.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# The first hour of a new user, on a folder of pictures: train, stop, go on, train longer, evaluate,
# move to other pictures, predict, look, export to Python. Under two minutes.
source "$(dirname "$0")/harness.sh" "$@"

make_pictures photos 3 40 20 20
for part in train val; do
  mv "photos/$part/class 0" "photos/$part/Würfel"
  mv "photos/$part/class 1" "photos/$part/red circles"
done
network="-a ibinn-small --image-size 16 --blocks 1,1,1 --widths 8,8,8 --threads 1"

# What it would be, before anything is trained.
refuses 2 "for example: pal-train photos" pal-train
expect_not "bare pal-train made a folder" [ -e run ]
succeeds pal-train photos $network -b 16 --epochs 4 --dry-run
expect_text "batch-size 16, global-batch 16, grad-accum 1, flip true" out "--dry-run: recipe"
expect_match "^about .* for the steps, at [0-9]* images/s" out "--dry-run: time"
succeeds pal-train photos $network -b 16 --epochs 4 --dry-run --json
expect_text '"seconds_estimate":' out "--dry-run --json"
succeeds pal-train photos $network --print-config
cp out my.toml
expect_text 'dataset = "'"$scratch"'/photos"' my.toml "--print-config: the data"
expect_not "a plan made a folder" [ -e run ]

# Train for a while, and go on with three words from another folder.
succeeds pal-train --config my.toml -b 16 --epochs 4 --validate-every 1 --max-steps 10 -o mine
expect_match "^results: mine/summary.json (stopped by --max-steps at step 10 of 28)" out "last line"
expect_text '"stop_reason": "max-steps"' mine/summary.json "summary"
expect_whole mine "a run of --max-steps"
for name in best last final.safetensors averaged.safetensors; do
  expect "a run of --max-steps leaves $name" [ -e mine/checkpoints/$name ]
done
mkdir elsewhere
(cd elsewhere && timeout 60 "$programs/pal-train" --resume ../mine) >out 2>err || code=$?
expect_code 0 "--resume from another folder"
expect_steps mine 28
expect_text '"stop_reason": "complete"' mine/summary.json "summary"

# The same bytes as a run without a stop.
succeeds pal-train --config my.toml -b 16 --epochs 4 -o whole
for name in final averaged best-ce best-nll step-28; do
  expect_same {whole,mine}/checkpoints/$name.safetensors
done
expect_same_metrics whole mine

# A finished run stays as it is; it can be made longer.
succeeds pal-evaluate mine --summary mine/summary.json --threads 1
cp mine/summary.json before.json
succeeds pal-train --resume mine
expect_text "complete at step 28" err "resuming a finished run"
expect_same before.json mine/summary.json
succeeds pal-train --resume mine --epochs 6 --lr 0.005
expect_text "warning: --resume: epochs was 4, is 6; lr was 0.003, is 0.005: the numbers" err "longer"
expect_steps mine 42
refuses 2 "global-batch was 16, is 8; leave them out" pal-train --resume mine -b 8
refuses 2 "--init-from" pal-train --resume mine --beta 3

# Evaluate: the data and the checkpoint are the run's own.
succeeds pal-evaluate mine --save-outputs outputs.csv --save-latents latents.safetensors --threads 1
expect_text "val (chose the checkpoint)" out "which images"
expect_not "top-5 of three classes" grep -q top-5 out
expect_text "Würfel" outputs.csv "names of classes"
expect_lines 31 outputs.csv "a line for each picture"
succeeds pal-inspect latents.safetensors
succeeds pal-inspect mine
expect_match "best-ce.safetensors .* best" out "table of checkpoints"

# Other pictures: some of the classes, in another number and size, from the first network.
make_pictures others 2 24 24 24
mv "others/train/class 0" "others/train/red circles"
mv "others/val/class 0" "others/val/red circles"
refuses 2 "class 1" pal-evaluate mine others --threads 1
succeeds pal-train others -b 16 --epochs 2 --threads 1 --init-from mine --freeze network -o moved
expect_match "^blocks = \[1, 1, 1\]" moved/config.toml "the network is that of the run"
expect_text "1 of 2 classes" moved/log.txt "rows of classes by name"
succeeds pal-evaluate moved --threads 1
refuses 2 "a flow (ibinn-small)" pal-train others -a resnet-small --image-size 16 --blocks 1,1,1 \
  --widths 8,8,8 -b 16 --threads 1 --init-from mine -o never
expect_not "a refused start left a folder" [ -e never ]

# Look: sheets of pictures, with names.
succeeds pal-sample mine --class Würfel -n 4 -o wurfel.png --threads 1
expect_text "0 Würfel" out "what is in which row"
succeeds pal-sample mine --reconstruct 3 -o rebuilt.png --threads 1
expect_text "test images:" out "which images"
refuses 2 "is a folder; name a PNG file" pal-sample mine -o elsewhere/
succeeds pal-inspect wurfel.png rebuilt.png

# Class folders alone.
cp -r photos/train flat
succeeds pal-train flat $network -b 16 --epochs 1 -o from_flat
expect_text "class folders without train/ and val/: 12 of its 120 pictures are held out" err "flat"
succeeds pal-evaluate from_flat --threads 1
expect_text "held-out" out "a flat set: only what did not train"
cp flat/Würfel/0.JPEG flat/Würfel/new.JPEG
succeeds pal-evaluate from_flat --threads 1
expect_text "warning: $scratch/flat: changed since" err "a flat set that changed"

# Export to Python.
python=${PALINDROME_PYTHON:-python3}
if has_module torch && has_module safetensors && has_module numpy; then
  PYTHONPATH=$source_folder/experiments timeout 60 "$python" - <<'PY' >out 2>err || fail "Python: $(cat err)"
import torch
from read_checkpoint import Flow, read_checkpoint
from safetensors.torch import load_file
tensors, info = read_checkpoint("mine/checkpoints/best")
latents = load_file("latents.safetensors")
scores = Flow(tensors, info["configuration"]).scores(latents["latents"])
difference = (scores.log_softmax(1) - latents["scores"].log_softmax(1)).abs().max().item()
assert difference < 1e-3, difference
print(info["class_names"])
PY
  expect_text "Würfel" out "classes in Python"
else
  skip_part "Python" "no torch, safetensors, numpy"
fi

finish_test "the first hour"
