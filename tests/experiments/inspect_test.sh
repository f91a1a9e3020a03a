#!/bin/bash
# Usage: inspect_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-inspect on every file of tests/badinput (exit code, one line on stderr, the value to compare,
# under limits of time and memory), on checkpoints that are damaged, and its options.
set -u
program=$1/pal-inspect
seconds=10
source_folder=$2
corpus=$source_folder/tests/badinput
source "$source_folder/tests/experiments/program_functions.sh"

# check_value FILE CHECK: one word of the manifest's last column against the JSON answer.
check_value() {
  case $2 in
    -) ;;
    tl=*)
      got=$(sed 's/.*"top_left":\[\([^]]*\)\].*/\1/' "$scratch/out")
      echo "$got,${2#tl=}" | awk -F, '{ for (i = 1; i <= 3; ++i) { d = $i - $(i + 3); if (d > 6 || d < -6) exit 1 } }' ||
        fail "$1: top left $got, expected ${2#tl=}" ;;
    *=*) expect_output "\"${2%%=*}\":${2#*=}" out "$1" ;;
    *x*x*) expect_output "\"shape\":[${2//x/,}]" out "$1" ;;
    *x*) expect_output "\"width\":${2%x*},\"height\":${2#*x}," out "$1" ;;
  esac
}

rows=0
while IFS=$'\t' read -r file wrong expected check; do
  rows=$((rows + 1))
  run --json "$corpus/$file"
  case $expected in
    accept)
      expect_code 0 "$file"
      [ -s "$scratch/err" ] && fail "$file: stderr: $(cat "$scratch/err")"
      expect_output '"verdict":"ok"' out "$file" ;;
    accept-with-warning)
      expect_code 0 "$file"
      [ "$(grep -c "^warning: $corpus/$file: " "$scratch/err")" = 1 ] && [ "$(wc -l <"$scratch/err")" = 1 ] ||
        fail "$file: expected one warning, got: $(cat "$scratch/err")"
      expect_output '"verdict":"warning"' out "$file" ;;
    *)
      expect_code 3 "$file ($wrong)"
      expect_error_line "$corpus/$file" "$file"
      expect_output '"verdict":"error"' out "$file" ;;
  esac
  for word in $check; do check_value "$file" "$word"; done
done < <(tail -n +2 "$corpus/manifest.tsv")
[ "$rows" -ge 9 ] || fail "only $rows rows in $corpus/manifest.tsv"

run "$corpus"
expect_code 3 "folder"
refused=$(grep -c "^pal-inspect: error: " "$scratch/err")
[ "$refused" = "$(grep -c $'\terror\t' "$corpus/manifest.tsv")" ] || fail "folder: $refused refused"

golden=$source_folder/tests/golden
run --json "$golden/model_tiny_soft.safetensors"
expect_code 0 model_tiny_soft
expect_output '"tensors":481' out model_tiny_soft
run diff "$golden/dct_n4.safetensors" "$golden/dct_n4.safetensors"
expect_code 0 "diff of equal files"
run diff "$golden/dct_n4.safetensors" "$golden/dct_n7.safetensors"
expect_code 1 "diff of different files"
expect_output 'tensor "x": F32 [4, 5, 4, 4] and F32 [4, 5, 7, 7]' out diff

printf 'PK\3\4 of another kind' >"$scratch/other"
run "$scratch/other"
expect_code 3 "unknown kind"
expect_error_line "$scratch/other:0: neither JPEG, PNG, safetensors, PyTorch, tar nor IDX" "unknown kind"
mkdir "$scratch/folder"
cp "$scratch/other" "$scratch/folder/notes.zip"
gzip -c "$scratch/other" >"$scratch/folder/notes.gz"
gunzip -c "$golden/model_tiny_soft_legacy.pt.gz" >"$scratch/folder/older.pt"
run "$scratch/folder"
expect_code 0 "folder with files of other kinds"
expect_output "older.pt: pt, ok: 337 tensors, sum 8443.2496" out "older PyTorch file"
expect_output "2 files of other kinds" out "folder with files of other kinds"
run --json "$scratch/folder/older.pt"
expect_output '"kind":"pt","verdict":"ok","messages":[],"tensors":337,"names":["inn.tmp_var_2",' out "older PyTorch file"
cp "$scratch/folder/older.pt" "$scratch/nan.pt"
printf '\377\377\377\377' | dd of="$scratch/nan.pt" bs=1 seek=$(($(stat -c %s "$scratch/nan.pt") - 4)) conv=notrunc status=none
run "$scratch/nan.pt"
expect_code 0 "a NaN"
[ "$(grep -c "^warning: $scratch/nan.pt: tensor .* has values that are not finite" "$scratch/err")" = 1 ] ||
  fail "a NaN: expected one warning, got: $(cat "$scratch/err")"
: >"$scratch/empty.png"
run "$scratch/empty.png"
expect_code 3 "empty file"
mkfifo "$scratch/fifo.jpg"
run "$scratch/fifo.jpg"
expect_code 3 "FIFO"
run "$scratch/absent"
expect_code 3 "absent file"
run --jsn x
expect_code 2 "unknown option"
expect_output "did you mean --json?" err "unknown option"
run
expect_code 2 "no argument"
run --max-pixels nan x
expect_code 2 "not a number"
run --version
expect_code 0 version
expect_output "pal-inspect (Palindrome) " out version
run --help
expect_code 0 help
if [ -w /dev/full ]; then
  "$program" --json "$golden" >/dev/full 2>"$scratch/err"
  code=$?
  expect_code 4 "full disk"
  expect_error_line "stdout: " "full disk"
fi

[ "$failures" = 0 ] && echo "$rows files and the options behave"
[ "$failures" = 0 ]
