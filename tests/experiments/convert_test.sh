#!/usr/bin/env bash
# Usage: convert_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-convert on a published checkpoint, on broken and foreign files, and its options.
source "$(dirname "$0")/harness.sh" "$@"
address_space=1500000
corpus=$source_folder/tests/badinput/pt

converts() { succeeds pal-convert "$@"; }
refuses_file() { # CODE TEXT WHAT ARGUMENTS: the error is all that is said, and begins with TEXT
  local wanted=$1 text=$2 what=$3
  shift 3
  run pal-convert "$@"
  expect_lone_error "$wanted" "$text" "$what"
}

published=$scratch/model_tiny_soft_legacy.pt
gunzip -c "$source_folder/tests/golden/model_tiny_soft_legacy.pt.gz" >"$published"

converts "$published" model.safetensors
expect_empty err published
expect_text "published IB-INN (pytorch-legacy)" out published
expect_text "not needed: opt (111 tensors)" out published
succeeds pal-inspect --json model.safetensors
expect_text '"kind":"checkpoint"' out checkpoint
expect_text '"tensors":173' out checkpoint

# A run begins with its network, for other classes.
make_pictures photos 3 16 40 32
succeeds pal-train photos --init-from model.safetensors -b 8 --epochs 1 --lr 0.001 --threads 1 \
  --max-steps 2 --recalibrate-bn 1 -o begun
expect_match '^arch = "ibinn-imagenet"' begun/config.toml "the recipe of a converted network"
expect_match '^mixing = "orthogonal"' begun/config.toml "the fields of a converted network"
expect_text "new: the class means (3 classes" begun/log.txt "what is new"

# It does not record its beta.
make_pictures seven 7 4 40 32
evaluates="pal-evaluate model.safetensors seven --allow-other-classes --threads 1 -q --figures plots"
succeeds $evaluates
expect_match "^model.safetensors,,[-0-9]" plots/table2.csv "a beta that is not known"
refuses 2 "here beta is unknown (--beta)" $evaluates --published
succeeds $evaluates --published --beta inf
expect_match "^model.safetensors,inf,.*,27.68,1.08,47.01,0.7627,5.12$" plots/table2.csv --beta

for i in 0 1 2 3 4 5 6; do echo "class $i"; done >names
converts --json --class-names names --mean 0.5,0.5,0.5 --std=1,1,1 "$published" other.safetensors
for answer in '"layout":"published IB-INN"' '"container":"pytorch-legacy"' '"parameters":159540' \
  '"mixing":"orthogonal"' '"blocks":[1,2,1,1]' '"image-size":32' '"tmp_var":13'; do
  expect_text "$answer" out "with options"
done
succeeds pal-inspect diff model.safetensors other.safetensors
expect_text "class 6" out "class names"
converts -q "$published" other.safetensors
expect_empty out quiet

# The same names in a safetensors file.
converts --tensors "$published" plain.safetensors
expect_text "337 tensors" out "tensor by tensor"
for file in "$published" plain.safetensors; do
  succeeds pal-inspect --json "$file"
  sed 's/.*"sum":\([^,}]*\).*/\1/' out >>sums
done
expect_equal 1 "$(sort -u sums | wc -l)" "different sums"
converts plain.safetensors again.safetensors
expect_same model.safetensors again.safetensors

refuses_file 3 "$corpus/ok_plain.pt: neither a published IB-INN" foreign \
  "$corpus/ok_plain.pt" none.safetensors
expect_text "--tensors" err foreign
converts --tensors "$corpus/ok_plain.pt" one.safetensors
for file in checksum runs_a_command view_too_large; do
  refuses_file 3 "$corpus/$file.pt:" "$file" "$corpus/$file.pt" none.safetensors
  refuses_file 3 "$corpus/$file.pt:" "$file" --tensors "$corpus/$file.pt" none.safetensors
done
head -c 100000 "$published" >cut.pt
refuses_file 3 "cut.pt:" "cut file" cut.pt none.safetensors
run pal-convert absent.pt none.safetensors
expect_code 3 "absent file"
expect_not "a refused file left something behind" [ -e none.safetensors ]

# Weights and their average in one file, of a network with a stem of 3x3.
networks=$corpus/ok_two_networks.pt
refuses_file 3 "$networks: 2 networks, \"state_dict\", \"state_dict_ema\": --key NAME chooses one" \
  "two networks" "$networks" none.safetensors
refuses_file 2 "--key: $networks has no network \"ema\", expected \"state_dict\"" "another key" \
  --key ema "$networks" none.safetensors
converts --key state_dict "$networks" weights.safetensors
expect_text "not needed: state_dict_ema (17 tensors)" out --key
expect_text "assumed: a 3x3 convolution of stride 1" out "a stride that no file tells"
converts --json --key state_dict_ema "$networks" average.safetensors
expect_text '"entry":"cifar"' out "a stem of 3x3"
run pal-inspect diff weights.safetensors average.safetensors
expect_code 1 "the average of the weights"
converts --json --key state_dict --entry haar "$networks" halved.safetensors
expect_text '"entry":"haar"' out --entry
expect_text '"assumed":[]' out --entry
refuses_file 2 "--entry: $networks: conv1.weight has a 3x3 kernel, so expected haar or cifar" \
  "--entry entry" --key state_dict --entry entry "$networks" none.safetensors
refuses_file 2 "--entry: says what a ResNet begins with" "--entry of a flow" \
  --entry cifar "$published" none.safetensors
refuses_file 2 "--tensors: converts tensors, not networks" "--tensors --key" \
  --tensors --key state_dict "$networks" none.safetensors
refuses_file 2 "weights.safetensors: a checkpoint of ours already" "a checkpoint of ours" \
  weights.safetensors none.safetensors

# Tensors of types that safetensors or this program lacks stay behind.
converts --tensors "$source_folder/tests/badinput/safetensors/warn_newer_type.safetensors" \
  rest.safetensors
expect_text "1 tensors" out "newer types"
expect_text '2 tensors of types that are not converted are left out, "new" of I4 first' err \
  "newer types"
converts --tensors "$corpus/warn_complex.pt" complex.safetensors
expect_empty err "a type that safetensors has"

head -n 3 names >few
refuses_file 2 "class-names: 3 names for a network of 7 classes" "too few names" \
  --class-names few "$published" none.safetensors
refuses_file 2 "--mean: expected 3 values" "too few means" --mean 0.5 "$published" none.safetensors
run pal-convert --std 1,0,1 "$published" none.safetensors
expect_code 2 "a deviation of 0"
run pal-convert --mean nan,0,0 "$published" none.safetensors
expect_code 2 "not a number"
run pal-convert "$published"
expect_code 2 "no output"
run pal-convert "$published" absent/model.safetensors
expect_code 4 "no such folder"
converts --help

# Without what only training needs: the same model, found by the same calibration.
address_space=
succeeds pal-train $tiny --threads 1 --max-steps 6 --validation 128 -o stripped --quiet
succeeds pal-convert stripped bare.safetensors --weights-only
expect_text "not needed: optimizer" out "--weights-only"
expect "--weights-only: not smaller" [ "$(stat -Lc %s bare.safetensors)" -lt \
  "$(stat -Lc %s stripped/checkpoints/best)" ]
for model in stripped bare.safetensors; do
  succeeds pal-evaluate $model --dataset synthetic:4:512:8 --calibrate --json --quiet
  sed -E 's/"(checkpoint|images_per_s|file|peak_bytes)":("[^"]*"|[0-9.e+]*),?//g' out >"${model%.*}.json"
done
expect_same stripped.json bare.json
expect_equal "$(ls stripped/calibration)" "$(ls calibration)" "digests of one model in two files"
expect_same stripped/calibration/*.safetensors calibration/*.safetensors
refuses 3 "not a Palindrome checkpoint" pal-convert calibration/*.safetensors out.safetensors --weights-only
refuses 2 "--weights-only: keeps class names" pal-convert bare.safetensors o.safetensors \
  --weights-only --mean 0.5

# Back to the published layout: the same model again, and a file that PyTorch loads.
converts model.safetensors again.pt
expect_match "^recorded  *ibinn" out "the published layout"
expect_text "lost: mean 0.485,0.456,0.406 and std 0.229,0.224,0.225 of the input" out "the published layout"
converts again.pt again.safetensors
expect_same model.safetensors again.safetensors
converts -q --class-names names --mean 0.5,0.5,0.5 --std=1,1,1 "$published" named.safetensors
converts --json named.safetensors named.pt
expect_text '"lost":["mean 0.5,0.5,0.5 and std 1,1,1 of the input","names of the classes"]' out "what is lost"
expect_same again.pt named.pt
converts halved.safetensors resnet.pth
expect_text "lost: entry haar: pal-convert reads it again with --entry haar" out "a ResNet"
converts --entry haar resnet.pth resnet.safetensors -q
succeeds pal-inspect diff halved.safetensors resnet.safetensors
refuses 3 "stripped/checkpoints/best: the published layout cannot hold clamp 2 (it means 0.7), latent-norm" \
  pal-convert stripped none.pt
refuses 3 "not a Palindrome checkpoint" pal-convert plain.safetensors none.pt
refuses 2 "OUTPUT.pt: is made of a checkpoint of ours" pal-convert model.safetensors none.pt --mean 0.5
refuses 2 "--weights-only: writes a checkpoint" pal-convert model.safetensors none.pt --weights-only

# Arrays for NumPy: the tensors as the file has them, and its metadata.
converts stripped run.npz
cp run.npz twice.npz
converts stripped run.npz
expect_same run.npz twice.npz
converts "$published" published.npz
expect_text "337 tensors" out "a PyTorch file for NumPy"
converts "$source_folder/tests/badinput/safetensors/warn_newer_type.safetensors" rest.npz
expect_text "tensors of types that are not converted are left out" err "types that NumPy lacks"
refuses 2 "OUTPUT.npz: holds the tensors as they are" pal-convert model.safetensors none.npz --class-names names
refuses 4 "absent/x.npz" pal-convert model.safetensors absent/x.npz
expect_not "a refused file left something behind" compgen -G "none.*"

# Nothing that somebody would miss is written over; the same command again is.
succeeds pal-train --dataset synthetic:2:64:8 -b 16 --blocks 1,1 --strides 1,2 --widths 8,8 --max-steps 2 -o trained -q
for place in trained/config.toml trained/checkpoints/best.safetensors trained/checkpoints/last; do
  refuses 2 "which would be lost" pal-convert "$published" $place
done
cp -L trained/checkpoints/last kept.safetensors
for options in "" --weights-only --tensors; do
  refuses 2 "which would be lost" pal-convert kept.safetensors kept.safetensors $options
done
refuses 2 "which would be lost" pal-convert --tensors rest.safetensors model.safetensors
converts kept.safetensors stripped.safetensors --weights-only
converts trained stripped.safetensors --weights-only
refuses 2 "trained: a checkpoint of ours already" pal-convert trained none.safetensors

# Of arrays what they say of themselves is copied, of a checkpoint not; damage is seen.
succeeds pal-evaluate trained -q --save-latents latents.safetensors
converts latents.safetensors copied.safetensors --tensors
succeeds pal-inspect copied.safetensors
expect_text "latents of" out "a copy of latents"
converts kept.safetensors copied.safetensors --tensors
expect_text "lost: class_names" out "a copy of a checkpoint's tensors"
damaged() {
  python3 -c 'import sys
data = bytearray(open(sys.argv[1], "rb").read()); data[-9] ^= 1; open(sys.argv[2], "wb").write(data)' "$1" damaged.safetensors
}
for file in kept latents; do
  damaged $file.safetensors
  refuses 3 "does not match its digest" pal-convert damaged.safetensors none.npz
  refuses 3 "does not match its digest" pal-convert damaged.safetensors none.safetensors --tensors
done
expect_not "a refused file left something behind" compgen -G "none.*"

# What others read.
python=${PALINDROME_PYTHON:-python3}
if has_module numpy && has_module torch; then
  expect "read by NumPy and PyTorch" sh -c '"$0" - >read_out 2>read_err' "$python" <<'PYTHON'
import json, numpy, torch
arrays = numpy.load("run.npz")
about = json.loads(bytes(arrays["__metadata__"]))
assert about["format"] == "palindrome-checkpoint", about
assert arrays["model.mu_mean"].dtype == numpy.float32 and arrays["model.blocks.2.w_index"].dtype == numpy.int32
ours = torch.load("again.pt", weights_only=True)
theirs = torch.load("model_tiny_soft_legacy.pt", weights_only=True, map_location="cpu")
for name, tensor in ours["inn"].items():
    assert torch.allclose(tensor, theirs["inn"][name], rtol=0, atol=3e-7), name
for name in ("mu", "mu_t", "mu_m"):
    assert torch.equal(ours[name], theirs[name].data), name
assert torch.load("resnet.pth", weights_only=True)["fc.weight"].ndim == 2
PYTHON
else
  skip_part "read by NumPy and PyTorch" "$python lacks one of them"
fi

finish_test "pal-convert behaves"
