#!/usr/bin/env bash
# Usage: files_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# The tables of tensors in experiments/README.md against files of every preset, and of every kind of
# array file (files_check.py).
source "$(dirname "$0")/harness.sh" "$@"
find_python

trains() { succeeds pal-train --threads 1 --max-steps 1 --recalibrate-bn 0 --quiet "$@"; }
colour="--dataset synthetic:4:32:32:3 -b 4 --burn-in 0"
trains --dataset synthetic:4:64:28 -a ibinn-mnist -b 8 --blocks 1,1 --widths 4,4 --ema 0.9 -o mnist
trains $colour -a ibinn-small --blocks 1,1,1 --widths 4,4,4 -o small
trains $colour -a ibinn-imagenet --blocks 1,1 --strides 1,2 --widths 4,4 --entry-width 4 --lr 1e-6 --lr-mu 1e-6 -o imagenet
trains $colour -a resnet-small --blocks 1,1,1 --widths 4,4,4 --entry-width 4 -o resnet-small
trains $colour -a resnet50 --blocks 1,1 --strides 1,2 --widths 4,4 --entry-width 4 -o resnet50
for mixing in orthogonal householder conv1x1; do
  trains $colour -a ibinn-small --blocks 1,1,1 --widths 4,4,4 --mixing $mixing --coupling slow -o $mixing
done

succeeds pal-evaluate mnist -q --save-outputs outputs.safetensors --save-latents latents.safetensors
succeeds pal-evaluate resnet-small -q --save-outputs resnet.safetensors
succeeds pal-explain heatmap mnist --images 1,2 -o heatmap.png
succeeds pal-explain evidence mnist --images 1,2 -o evidence.png
succeeds pal-attack mnist --attack ddn --steps 2 -n 4 -b 4 --threads 1 -q -o attacked
for file in outputs latents resnet heatmap evidence; do
  succeeds pal-convert $file.safetensors $file.npz
  succeeds pal-inspect $file.safetensors
  expect_match ", \(outputs\|latents\|maps\) of .*, by model [0-9a-f]*" out "$file: its kind"
done

checks=$((checks + 1))
"$python" "$source_folder/tests/experiments/files_check.py" "$source_folder/experiments/README.md" \
  mnist small imagenet resnet-small resnet50 orthogonal householder conv1x1 \
  -- outputs.safetensors latents.safetensors resnet.safetensors heatmap.safetensors evidence.safetensors \
  attacked/images/*/*.safetensors >said 2>&1 || fail "files_check.py: $(tail -n 5 said)"
if has_module numpy; then
  expect "read by NumPy" "$python" -c '
import json, numpy
outputs = numpy.load("outputs.npz")
assert abs(outputs["probabilities"].sum(1) - 1).max() < 1e-6
assert len(bytes(outputs["names"]).split(b"\0")) == len(outputs["index"]) + 1
assert (outputs["probabilities"].argmax(1) == outputs["predicted"]).all()
maps, about = numpy.load("evidence.npz"), json.loads(bytes(numpy.load("evidence.npz")["__metadata__"]))
assert maps["maps"].shape[0] == 2 and len(json.loads(about["rows"])) == 2'
else
  skip_part "read by NumPy" "$python has no numpy"
fi

finish_test "files are as the tables say"
