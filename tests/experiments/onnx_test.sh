#!/usr/bin/env bash
# Usage: onnx_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# experiments/export_onnx.py: networks of every kind say the same in onnxruntime as in pal-evaluate; what it
# refuses and what it leaves behind; the example of its README. SKIPPED without numpy, onnx, onnxruntime or
# xxhash.
# PAL_ONNX_IMAGES (100): pictures of each comparison. PAL_ONNX_LARGE: the network for ImageNet, too (3 GB).
source "$(dirname "$0")/harness.sh" "$@"
find_python numpy onnx onnxruntime xxhash
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$source_folder/experiments
images=${PAL_ONNX_IMAGES:-100}

# exports CHECKPOINT FILE OPTIONS: leaves out, err and code.
exports() {
  code=0
  program=export_onnx
  timeout "$((5 * seconds))" "$python" "$source_folder/experiments/export_onnx.py" "$1" -o "$2" "${@:3}" >out 2>err || code=$?
}

# agrees WHAT CHECKPOINT OPTIONS: the file agrees with pal-evaluate.
agrees() {
  exports "$2" "$1.onnx" --check "$images" --programs "$programs" "${@:3}"
  expect_code 0 "$1"
  sed -n "s/^$images images: [^:]*: /$1: /p" out
}

# agrees_closely WHAT CHECKPOINT OPTIONS: and each score and log-density to 1e-4 max(1, |value|).
agrees_closely() {
  agrees "$@"
  expect "$1: more than 1e-4: $(cat out)" awk '/ images: / {
      while (match($0, /(scores|log_posterior|log_density) [0-9.e+-]*/)) {
        split(substr($0, RSTART, RLENGTH), parts, " ")
        ++seen
        if (parts[2] + 0 > 1e-4) exit 1
        $0 = substr($0, RSTART + RLENGTH)
      }
    }
    END { exit !seen }' out
}

# network WHAT SHAPE TRAINING [EXPORT]: trains a network for 12 steps on images of a shape, and exports it.
network() {
  succeeds pal-train --dataset "synthetic:4:96:$2" -b 16 --threads 1 --max-steps 12 --epochs 3 --recalibrate-bn 2 \
    $3 -o "$1" -q
  agrees_closely "$1" "$1/checkpoints/last" ${4:-}
}

# altered CHANGE: altered.safetensors, a checkpoint with its header, config and numbers as CHANGE makes them.
altered() {
  "$python" - "$1" <<'END'
import json
import struct
import sys
import numpy
data = open("glow/checkpoints/last", "rb").read()
length, = struct.unpack_from("<Q", data)
header, tensors = json.loads(data[8:8 + length]), bytearray(data[8 + length:])
notes = header["__metadata__"]
config = json.loads(notes["configuration"])
def numbers(name, dtype):
    begin, end = header[name]["data_offsets"]
    return numpy.frombuffer(memoryview(tensors)[begin:end], dtype)
exec(sys.argv[1])
notes["configuration"] = json.dumps(config)
notes.pop("digest", None)
text = json.dumps(header).encode()
open("altered.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + tensors)
END
}

# Subnets begin strong, so that a wrong one is seen.
strong="--clamp 1 --subnet-gain 1"
small="-a ibinn-mnist $strong"
grey="$small --blocks 2,2 --widths 8,8"
slow="$grey --coupling slow --lr 0.01"
colour="-a ibinn-small --blocks 1,2,1 --widths 8,8,8 $strong"
entry="-a ibinn-imagenet --blocks 2,2 --strides 1,2 --widths 8,8 --entry-width 8 --rank 3
  --lr 0.01 --lr-mu 0.01"
resnet="-a resnet-small --blocks 1,2 --widths 8,16 --entry-width 8"
while IFS='|' read -r name shape options export; do
  eval "network $name $shape \"$options\" \"$export\""
done <<'END'
glow|8:1|$grey
slow|8:1|$slow
bottleneck|8:1|$grey --subnet bottleneck
slow-bottleneck|8:1|$slow --subnet bottleneck
householder|8:1|$grey --mixing householder --reflections 4
orthogonal|8:1|$slow --mixing orthogonal
conv1x1|8:1|$grey --mixing conv1x1
swap|8:1|$grey --mixing swap
unmixed|8:1|$grey --mixing none
welling|8:1|$grey --welling
welling-orthogonal|8:1|$slow --welling --mixing orthogonal
welling-swap|8:1|$grey --welling --mixing swap
gin|8:1|$grey --gin
gin-slow|8:1|$slow --gin
act-norm-paper|8:1|$grey --act-norm paper
act-norm-sigmoid|8:1|$grey --act-norm sigmoid
act-norm-exp|8:1|$grey --act-norm exp
dct-orthonormal|8:1|$grey --dct orthonormal
dct-reported|8:1|$grey --dct-log-det reported|--dct-log-det reported
no-latent-norm|8:1|$grey --latent-norm false
rank|8:1|$grey --rank 3 --lr-mu 0.3
head-permutation|8:1|$grey --head-permutation
one-pixel|8:1|$small --blocks 1,1,1 --strides 1,2,2 --widths 8,8,8
colour|16:3|$colour|--latents
nhwc|16:3|$colour --coupling slow|--layout nhwc --latents
entry|16:3|$entry|--latents
entry-7x7|16:3|$entry --entry-7x7
entry-glow|16:3|$entry --coupling glow --subnet basic --gin
entry-welling|16:3|$entry --welling
paper|16:3|$entry --flavour paper --head-permutation false
resnet|16:3|$resnet --strides 1,2
resnet-bottleneck|16:3|$resnet --strides 1,2 --subnet bottleneck --entry entry
resnet-cifar|16:3|$resnet --entry cifar --strides 2,2
resnet-odd|15:3|$resnet --strides 1,2 --entry entry
END

# What a checkpoint computes in does not matter: bf16, too, is written in float32.
altered 'config["compute"] = "bf16"'
exports altered.safetensors bf16.onnx
expect_code 0 "bf16"
expect "bf16: another graph" "$python" -c '
import onnx
assert onnx.load("bf16.onnx").graph == onnx.load("glow.onnx").graph'

# A published checkpoint.
gzip -dc "$source_folder/tests/golden/model_tiny_soft_legacy.pt.gz" >published.pt
succeeds pal-convert published.pt published.safetensors
agrees_closely published published.safetensors --latents

# The trained network of results/, on the test images that it never saw.
fashion=/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz
if [ -e "$fashion" ]; then
  agrees fashion "$source_folder/experiments/results/fashion-beta1.safetensors" --images "$fashion" --latents
else
  skip_part "Fashion-MNIST" "no $fashion"
fi
if [ -n "${PAL_ONNX_LARGE:-}" ]; then
  seconds=1200
  succeeds pal-train -a ibinn-imagenet --synthetic -b 2 --max-steps 1 --lr 0 --recalibrate-bn 0 --validation 1 \
    -o large -q
  images=10 agrees large large/checkpoints/last
fi

# The file.
exports glow again.onnx
expect_code 0 "a run folder"
expect_match "^again.onnx: ibinn-mnist, images NCHW to scores, log_density; [0-9]* nodes, [0-9.]* MB" out "a run"
cp again.onnx before.onnx
exports glow/checkpoints/best again.onnx
expect_same again.onnx before.onnx
"$python" - >facts <<'END' || true
import json
import onnx
model = onnx.load("glow.onnx")
tensors = {tensor.name for tensor in model.graph.initializer}
assert {"blocks.2.s1.2.weight", "blocks.2.act_offset", "blocks.2.w_index", "mu_mean"} <= tensors, tensors
assert {node.domain for node in model.graph.node} == {""}
notes = {entry.key: entry.value for entry in model.metadata_props}
assert json.loads(notes["class_names"])[3] == "stripes 3", notes
assert len(notes["checkpoint_digest"]) == 32 and notes["dims"] == "64" and notes["palindrome_version"], notes
print(model.ir_version, model.opset_import[0].version, *(value.name for value in model.graph.output))
END
expect_equal "7 13 scores log_density" "$(cat facts)" "versions and outputs"

# The README's example, and the bits/dim that pal-classify gives the same pictures.
"$python" - <<'END'
import os
import numpy
from onnx_export.check import made_pictures, png_of
pictures = made_pictures(6, 16, 3)
numpy.save("pictures.npy", pictures.transpose(0, 3, 1, 2))
os.mkdir("pictures")
for number, picture in enumerate(pictures):
    with open(f"pictures/{number}.png", "wb") as file:
        file.write(png_of(picture))
END
awk '/^```/ { inside = /^```python$/; next } inside' "$source_folder/experiments/onnx_export/README.md" >example.code
cp colour.onnx model.onnx
expect "the README's example" "$python" example.code >example
succeeds pal-classify colour/checkpoints/last pictures --json --resize 16
cp out classified
expect "the example's classes or bits/dim are not pal-classify's: $(cat example classified)" "$python" - <<'END'
import json
rows = [json.loads(line) for line in open("classified")]
printed = [line.rsplit(" ", 2) for line in open("example")]
assert len(rows) == len(printed) == 6
for row, (name, bits, _) in zip(rows, printed):
    assert row["top"][0]["class"] == name and abs(row["bits_per_dim"] - float(bits)) < 6e-3, (row, name, bits)
END

# The file of another network is not taken for right.
cat >planted.code <<'END'
import sys
from onnx_export.check import compare
from onnx_export.checkpoint import read_checkpoint
from onnx_export.errors import ExportError
try:
    compare("glow.onnx", read_checkpoint("act-norm-exp/checkpoints/last"), 10, programs=sys.argv[1])
except ExportError as error:
    print(error)
END
"$python" planted.code "$programs" >planted
expect_text "glow.onnx: not what pal-evaluate says: 10 images" planted "a planted difference"

# refuses_export CODE TEXT CHECKPOINT FILE OPTIONS: one line, and no file.
refuses_export() {
  exports "${@:3}"
  expect_refusal "$1" "$2" "export ${*:3}"
  expect_lines 1 err "export ${*:3}"
}
refuses_export 2 "argument --layout: invalid choice: 'nwhc'" glow x.onnx --layout nwhc
refuses_export 2 "expected a name that ends in .onnx" glow x.safetensors
"$python" -c 'data = bytearray(open("glow/checkpoints/last", "rb").read()); data[-9] ^= 1; open("damaged", "wb").write(data)'
refuses_export 3 "does not match its digest" damaged x.onnx
refuses_export 2 "argument --check: invalid number of at least 1 value: '0'" glow x.onnx --check 0
refuses_export 2 "--images and --programs belong to --check" glow x.onnx --programs .
refuses_export 2 "pictures: a folder without checkpoints" pictures x.onnx
refuses_export 2 "glow: a folder; expected the name of a file" glow/checkpoints/last glow
refuses_export 2 "only classifies; --latents needs an invertible network" resnet x.onnx --latents
refuses_export 3 "no-such-file: No such file or directory" no-such-file x.onnx
refuses_export 3 "README.md: not a safetensors checkpoint" "$source_folder/README.md" x.onnx
refuses_export 4 "absent/x.onnx: cannot write into absent" glow absent/x.onnx
refuses_export 4 "--check: no pal-evaluate in pictures" glow x.onnx --check 2 --programs pictures
head -c -100 glow/checkpoints/last >torn.safetensors
refuses_export 3 "its bytes lie outside the file" torn.safetensors again.onnx
mkdir fake
echo 'raise ImportError("none", name="onnx")' >fake/onnx.py
PYTHONPATH=$scratch/fake:$PYTHONPATH refuses_export 4 "this Python has no onnx; pip install numpy onnx" glow x.onnx
expect_not "a file was written" [ -e x.onnx ]

while IFS='|' read -r wanted text change; do
  altered "$change"
  refuses_export "$wanted" "altered.safetensors: $text" altered.safetensors again.onnx
done <<'END'
3|model.blocks.2.act_norm is missing|del header["model.blocks.2.act_norm"]
3|model.mu_mean: expected [4, 64] of float32, found [64, 4] of float32|header["model.mu_mean"]["shape"] = [64, 4]
3|model.blocks.2.act_norm: expected [4] of float32, found [4] of int32|header["model.blocks.2.act_norm"]["dtype"] = "I32"
3|model.odd is no tensor of this architecture|header["model.odd"] = header["model.mu_mean"]
3|model.blocks.2.w_index is no permutation|numbers("model.blocks.2.w_index", "<i4")[:] = 0
3|configuration: unknown key 'depth'|config["depth"] = 3
3|configuration: coupling: unexpected value 'nice'|config["coupling"] = "nice"
3|configuration: clamp: unexpected value '1'|config["clamp"] = "1"
3|configuration: image-size: 6 cannot be halved 2 times|config["image-size"] = 6
3|the metadata entry class_names: expected a list of 4|notes["class_names"] = "[]"
3|the metadata entry std is missing|del notes["std"]
3|the metadata entry mean is not JSON|notes["mean"] = "["
5|model.blocks.2.act_norm: a scale is not positive and finite|numbers("model.blocks.2.act_norm", "<f4")[1] = -1e4
END
expect_same again.onnx before.onnx
expect_equal "" "$(find . -name '*.tmp-pal*')" "left over"

finish_test "networks as ONNX"
