#!/bin/bash
# Usage: convert_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-convert on a published checkpoint, on broken and foreign files, and its options.
set -u
program=$1/pal-convert
seconds=60
inspect=$1/pal-inspect
source_folder=$2
corpus=$source_folder/tests/badinput/pt
source "$source_folder/tests/experiments/program_functions.sh"

published=$scratch/model_tiny_soft_legacy.pt
gunzip -c "$source_folder/tests/golden/model_tiny_soft_legacy.pt.gz" >"$published" || exit 1

run "$published" "$scratch/model.safetensors"
expect_code 0 "published"
[ -s "$scratch/err" ] && fail "published: stderr: $(cat "$scratch/err")"
expect_output "published IB-INN (pytorch-legacy)" out published
expect_output "not needed: opt (111 tensors)" out published
"$inspect" --json "$scratch/model.safetensors" >"$scratch/out" || fail "the checkpoint is refused"
expect_output '"kind":"checkpoint"' out checkpoint
expect_output '"tensors":173' out checkpoint

for i in 0 1 2 3 4 5 6; do echo "class $i"; done >"$scratch/names"
run --json --class-names "$scratch/names" --mean 0.5,0.5,0.5 --std=1,1,1 "$published" "$scratch/other.safetensors"
expect_code 0 "with options"
for answer in '"layout":"published IB-INN"' '"container":"pytorch-legacy"' '"parameters":159540' \
  '"mixing":"orthogonal"' '"blocks":[1,2,1,1]' '"image-size":32' '"tmp_var":13'; do
  expect_output "$answer" out "with options"
done
"$inspect" diff "$scratch/model.safetensors" "$scratch/other.safetensors" >"$scratch/out" ||
  fail "options change tensors"
expect_output "class 6" out "class names"
run -q "$published" "$scratch/other.safetensors"
expect_code 0 quiet
[ -s "$scratch/out" ] && fail "quiet: $(cat "$scratch/out")"

# The same names in a safetensors file.
run --tensors "$published" "$scratch/plain.safetensors"
expect_code 0 "tensor by tensor"
expect_output "337 tensors" out "tensor by tensor"
sums=$(for file in "$published" "$scratch/plain.safetensors"; do
  "$inspect" --json "$file" | sed 's/.*"sum":\([^,}]*\).*/\1/'
done | sort -u | wc -l)
[ "$sums" = 1 ] || fail "sums differ"
run "$scratch/plain.safetensors" "$scratch/again.safetensors"
expect_code 0 "from safetensors"
cmp -s "$scratch/again.safetensors" "$scratch/model.safetensors" || fail "safetensors gives another checkpoint"

run "$corpus/ok_plain.pt" "$scratch/none.safetensors"
expect_code 3 "foreign"
expect_error_line "$corpus/ok_plain.pt: neither a published IB-INN" "foreign"
expect_output "--tensors" err "foreign"
run --tensors "$corpus/ok_plain.pt" "$scratch/one.safetensors"
expect_code 0 "foreign, tensor by tensor"
for file in checksum runs_a_command view_too_large; do
  for mode in "" --tensors; do
    run $mode "$corpus/$file.pt" "$scratch/none.safetensors"
    expect_code 3 "$file"
    expect_error_line "$corpus/$file.pt:" "$file"
  done
done
head -c 100000 "$published" >"$scratch/cut.pt"
run "$scratch/cut.pt" "$scratch/none.safetensors"
expect_code 3 "cut file"
expect_error_line "$scratch/cut.pt:" "cut file"
run "$scratch/absent.pt" "$scratch/none.safetensors"
expect_code 3 "absent file"
[ -e "$scratch/none.safetensors" ] && fail "a refused file left something behind"

head -n 3 "$scratch/names" >"$scratch/few"
run --class-names "$scratch/few" "$published" "$scratch/none.safetensors"
expect_code 2 "too few names"
expect_error_line "--class-names: 3 names for a network of 7 classes" "too few names"
run --mean 0.5 "$published" "$scratch/none.safetensors"
expect_code 2 "too few means"
expect_error_line "--mean: expected 3 values" "too few means"
run --std 1,0,1 "$published" "$scratch/none.safetensors"
expect_code 2 "a deviation of 0"
run --mean nan,0,0 "$published" "$scratch/none.safetensors"
expect_code 2 "not a number"
run "$published"
expect_code 2 "no output"
run "$published" "$scratch/absent/model.safetensors"
expect_code 4 "no such folder"
run --help
expect_code 0 help

[ "$failures" = 0 ] && echo "pal-convert behaves"
[ "$failures" = 0 ]
