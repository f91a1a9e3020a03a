#!/usr/bin/env bash
# Usage: inspect_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-inspect on every file of tests/badinput (exit code, one line on stderr, the value to compare,
# under limits of time and memory), on checkpoints that are damaged, and its options.
source "$(dirname "$0")/harness.sh" "$@"
seconds=10
address_space=1500000
corpus=$source_folder/tests/badinput

inspects() { run pal-inspect "$@"; }

# near FOUND WANTED: three numbers each, as "1,2,3", that differ by 6 at most.
near() {
  echo "$1,$2" | awk -F, '{ for (i = 1; i <= 3; ++i) { d = $i - $(i + 3); if (d > 6 || d < -6) exit 1 } }'
}

# check_value FILE CHECK: one word of the manifest's last column against the JSON answer.
check_value() {
  local found
  case $2 in
    -) ;;
    tl=*)
      found=$(sed 's/.*"top_left":\[\([^]]*\)\].*/\1/' out)
      expect "$1: top left $found, expected ${2#tl=}" near "$found" "${2#tl=}" ;;
    *=*) expect_text "\"${2%%=*}\":${2#*=}" out "$1" ;;
    *x*x*) expect_text "\"shape\":[${2//x/,}]" out "$1" ;;
    *x*) expect_text "\"width\":${2%x*},\"height\":${2#*x}," out "$1" ;;
  esac
}

rows=0
while IFS=$'\t' read -r file wrong expected check; do
  rows=$((rows + 1))
  inspects --json "$corpus/$file"
  case $expected in
    accept)
      expect_code 0 "$file"
      expect_empty err "$file"
      expect_text '"verdict":"ok"' out "$file" ;;
    accept-with-warning)
      expect_code 0 "$file"
      expect_lines 1 err "$file"
      expect_match "^warning: $corpus/$file: " err "$file"
      expect_text '"verdict":"warning"' out "$file" ;;
    *)
      expect_lone_error 3 "$corpus/$file" "$file ($wrong)"
      expect_text '"verdict":"error"' out "$file" ;;
  esac
  for word in $check; do check_value "$file" "$word"; done
done < <(tail -n +2 "$corpus/manifest.tsv")
expect "only $rows rows in $corpus/manifest.tsv" [ "$rows" -ge 9 ]

inspects "$corpus"
expect_code 3 folder
expect_equal "$(grep -c $'\terror\t' "$corpus/manifest.tsv")" \
  "$(grep -c "^pal-inspect: error: " err)" "files refused in a folder"

inspects "$corpus/pt/ok_two_networks.pt"
expect_text ', 2 networks, "state_dict", "state_dict_ema"' out "two networks"
inspects "$corpus/pt/warn_no_checksums.pt"
expect_text "without checksums" err "no checksums"

golden=$source_folder/tests/golden
inspects --json "$golden/model_tiny_soft.safetensors"
expect_code 0 model_tiny_soft
expect_text '"tensors":481' out model_tiny_soft
inspects diff "$golden/dct_n4.safetensors" "$golden/dct_n4.safetensors"
expect_code 0 "diff of equal files"
inspects diff "$golden/dct_n4.safetensors" "$golden/dct_n7.safetensors"
expect_code 1 "diff of different files"
expect_text 'tensor "x": F32 [4, 5, 4, 4] and F32 [4, 5, 7, 7]' out diff

printf 'PK\3\4 of another kind' >other
inspects other
expect_lone_error 3 "other:0: neither JPEG, PNG, safetensors, PyTorch, tar nor IDX" "unknown kind"
mkdir folder
cp other folder/notes.zip
gzip -c other >folder/notes.gz
gunzip -c "$golden/model_tiny_soft_legacy.pt.gz" >folder/older.pt
inspects folder
expect_code 0 "folder with files of other kinds"
expect_text "older.pt: pt, ok: 337 tensors, sum 8443.2496" out "older PyTorch file"
expect_text "2 files of other kinds" out "folder with files of other kinds"
inspects --json folder/older.pt
expect_text '"kind":"pt","verdict":"ok","messages":[],"tensors":337,"names":["inn.tmp_var_2",' out \
  "older PyTorch file"
cp folder/older.pt nan.pt
printf '\377\377\377\377' |
  dd of=nan.pt bs=1 seek=$(($(stat -c %s nan.pt) - 4)) conv=notrunc status=none
inspects nan.pt
expect_code 0 "a NaN"
expect_equal 1 "$(grep -c "^warning: nan.pt: tensor .* has values that are not finite" err || true)" \
  "warnings of a NaN"
: >empty.png
inspects empty.png
expect_code 3 "empty file"
mkfifo fifo.jpg
inspects fifo.jpg
expect_code 3 FIFO
inspects absent
expect_code 3 "absent file"
inspects --jsn x
expect_code 2 "unknown option"
expect_text "did you mean --json?" err "unknown option"
inspects
expect_code 2 "no argument"
inspects --max-pixels nan x
expect_code 2 "not a number"
inspects --version
expect_code 0 version
expect_text "pal-inspect (Palindrome) " out version
inspects --help
expect_code 0 help

# Whole pictures in a bent wrapping: one warning.
warns() {
  inspects "$2"
  expect_code 0 "$1"
  expect_lines 1 err "$1"
  expect_match "^warning: $2: .*$3" err "$1"
}
good=$corpus/jpeg/ok_progressive_23x19.jpg
cp "$good" jpeg.png
cp "$corpus/png/ok_gray16.png" png.JPEG
warns "a JPEG called .png" jpeg.png "a JPEG that is named as a PNG"
warns "a PNG called .JPEG" png.JPEG "a PNG that is named as a JPEG"
{ head -c 20 "$good" && printf 'abc' && tail -c +21 "$good"; } >stray.jpg
warns "stray bytes between segments" stray.jpg "3 extraneous bytes before marker"
expect_text "stray.jpg: jpeg, warning: 23 x 19 pixels" out "stray bytes between segments"

# Shards of every kind.
mkdir shard
for key in a b c; do
  cp "$good" shard/$key.jpg
  printf 1 >shard/$key.cls
done
pack() { tar -C shard "$@" --sort=name .; }
for format in v7 ustar gnu pax; do
  pack --format=$format -cf $format.tar
  inspects $format.tar
  expect_code 0 "$format tar"
  expect_text "$format.tar: tar, ok: 3 samples" out "$format tar"
done
cp v7.tar v7
inspects v7
expect_text "v7: tar, ok: 3 samples" out "a v7 tar without a suffix"
mkdir more
for key in d e; do cp shard/a.jpg more/$key.jpg && cp shard/a.cls more/$key.cls; done
tar -C more --sort=name -cf more.tar .
cat v7.tar more.tar >both.tar
warns "two archives in one" both.tar "several archives in one file"
expect_text "tar, warning: 5 samples" out "two archives in one"
ln shard/a.jpg shard/x.jpg && cp shard/a.cls shard/x.cls
pack --format=gnu -cf hard.tar
inspects hard.tar
expect_code 0 "hard links"
expect_text "hard.tar: tar, ok: 4 samples" out "hard links"
ln -s a.jpg shard/y.jpg && cp shard/a.cls shard/y.cls
mkfifo shard/z
pack -cf links.tar
warns "links and FIFOs" links.tar "2 in all, .*; .*1 sample left out"
expect_text "tar, warning: 4 samples" out "links and FIFOs"
cp "$corpus/jpeg/cut_at_60_percent.jpg" shard/c.jpg
pack -cf cut.tar
inspects cut.tar
expect_code 0 "a cut picture beyond the first"
inspects --deep cut.tar
expect_refusal 3 "cut.tar:c.jpg:" "--deep: a cut picture"
cp shard/c.jpg shard/b.jpg
pack -cf cut2.tar
inspects --deep --json cut2.tar
expect_refusal 3 "; 2 of 4 pictures cannot be read" "--deep: two cut pictures"
cp shard/c.jpg shard/a.jpg
pack -cf first.tar
inspects first.tar
expect_refusal 3 "first.tar:a.jpg:" "the first picture is cut"
tar -cf none.tar -T /dev/null
inspects none.tar
expect_lone_error 3 "none.tar:0: no sample" "an archive without a sample"

# IDX files that do not fit each other.
# idx FILE LABEL...: as many images of one pixel, and labels.
u32() {
  local shift
  for shift in 24 16 8 0; do printf "\\$(printf %03o $(($1 >> shift & 255)))"; done
}
idx() {
  local part=$1 label
  shift
  { u32 2051 && u32 $# && u32 1 && u32 1 && head -c $# /dev/zero; } >"$part-images-idx3-ubyte"
  { u32 2049 && u32 $# && for label; do printf "\\$(printf %03o "$label")"; done; } >"$part-labels-idx1-ubyte"
}
mkdir family
idx family/train 0 1 2
idx family/t10k 2 0
inspects family
expect_code 0 "IDX files that fit"
expect_empty err "IDX files that fit"
idx family/t10k 3 0
inspects family
expect_lone_error 3 "family/t10k-labels-idx1-ubyte:8: label 3 of image 0, expected 0 to 2" "a label too large"
inspects --json family
expect_text '"file":"family","kind":"idx","verdict":"error"' out "a label too large"
idx family/other 1 0 1
mv family/other-labels-idx1-ubyte family/t10k-labels-idx1-ubyte
rm family/other-images-idx3-ubyte
inspects family
expect_lone_error 3 "family/t10k-labels-idx1-ubyte:4: 3 labels for 2 images" "labels of other images"
rm family/t10k-labels-idx1-ubyte
inspects family
expect_lone_error 3 "family: holds neither t10k-labels-idx1-ubyte" "no labels"

# A run's folder: a table of its checkpoints, and a line for what is broken.
run pal-train $tiny --epochs 1 --max-steps 20 --checkpoint-every 10 -o one --progress never -q
expect_code 0 pal-train
mv one run
inspects run
expect_code 0 "a run folder"
expect_match "^run/checkpoints  *step  *date" out "table of checkpoints"
expect_match "^step-20.safetensors  *20  *20..-..-.. .*last" out "table of checkpoints"
expect_match "^[0-9]* checkpoints and 0 other files: whole" out "table of checkpoints"
expect_not "a run folder: a line of each file" grep -q "sum" out
cp out table
inspects run/checkpoints
expect_same out table
inspects -v run
expect_match "^run/checkpoints/step-10.safetensors: checkpoint, ok: .* sum" out "run -v"
inspects --json run
expect_match '"file":"run/checkpoints/step-10.safetensors","kind":"checkpoint"' out "run --json"
inspects diff run run/checkpoints/step-10.safetensors --max-lines 2
expect_code 1 "diff of a run"
expect_match "run: taking run/checkpoints/" err "diff of a run"
expect_equal 2 "$(grep -c '^tensor' out)" "diff --max-lines"
expect_match "^\.\.\. and [0-9]* more" out "diff --max-lines"
expect_match "^[0-9]* tensors differ" out "diff --max-lines"
inspects diff run run/checkpoints/step-10.safetensors
expect_equal 20 "$(grep -c '^tensor' out)" "tensors that diff lists"
inspects diff run run/checkpoints/step-10.safetensors --max-lines 0
expect_not "diff --max-lines 0 leaves out some" grep -q "more" out
inspects diff run run --max-lines -1
expect_code 2 "--max-lines -1"
inspects diff folder run
expect_lone_error 2 "folder: a folder without checkpoints; expected a run folder" "diff of a folder"
head -c 3000 run/checkpoints/step-10.safetensors >cut
mv cut run/checkpoints/step-10.safetensors
inspects run
expect_code 3 "a run with a broken checkpoint"
expect_match "^step-10.safetensors .*broken" out "a run with a broken checkpoint"
expect_match "other files: 1 broken" out "a run with a broken checkpoint"
expect_match "^pal-inspect: error: run/checkpoints/step-10" err "a run with a broken checkpoint"

if [ -w /dev/full ]; then
  code=0
  "$programs/pal-inspect" --json "$golden" >/dev/full 2>err || code=$?
  expect_lone_error 4 "stdout: " "full disk"
fi

finish_test "$rows files and the options behave"
