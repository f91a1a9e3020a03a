#!/usr/bin/env bash
# Usage: ood_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-ood on tiny models that pal-train has just made: what it prints and writes, that threads change
# nothing, held-out classes, and one error line with the right exit code for whatever is wrong.
source "$(dirname "$0")/harness.sh" "$@"
seconds=120

tiny=(-b 32 --max-steps 2 --recalibrate-bn 2 --progress never -q)
flow=(--blocks 1,1 --widths 8,8)
succeeds pal-train --dataset synthetic:4:1024:8 "${flow[@]}" "${tiny[@]}" --validation 200 -o run
succeeds pal-train --dataset synthetic:4:256:8 "${flow[@]}" "${tiny[@]}" -o without \
  --exclude-classes "stripes 1,stripes 3"
succeeds pal-train --dataset synthetic:4:256:16:3 -a resnet-small "${tiny[@]}" -o resnet
expect_text 'exclude-classes = "stripes 1,stripes 3"' without/config.toml --exclude-classes

# An IDX file of two grey images of 8 x 8.
printf '\0\0\10\3\0\0\0\2\0\0\0\10\0\0\0\10' >two-images-idx3-ubyte
head -c 128 /dev/zero >>two-images-idx3-ubyte

# Several sets after one flag, tables and pictures.
succeeds pal-ood run --against noise two-images-idx3-ubyte --against synthetic:9:64:8 -o foreign
for text in "quantile, %" "AUPR foreign" "FPR95 foreign+" "FPR95 familiar+" "AUC % training" \
  "latent-mean" "states" "max-posterior" "256 test images of synthetic:4:1024:8" "noise" "two "; do
  expect_text "$text" out pal-ood
done
expect_not "familiarity without a calibration" grep -q familiarity out
for file in fig8_1_noise.svg roc_1_noise.svg fig8_2_two.svg roc_3_synthetic_9_64_8.svg; do
  expect "no $file in: $(ls foreign)" [ -s "foreign/$file" ]
done
expect_text "quantile test at p = 0.1: rejects" foreign/fig8_1_noise.svg "Fig. 8"
# Three sets, nine scores, two kinds of negatives.
expect_lines 55 foreign/detection.csv detection.csv
expect_equal 14 "$(awk -F, '{ print NF }' foreign/detection.csv | sort -u)" "fields of detection.csv"
expect_equal $((1 + 256 + 824 + 256 + 2 + 16)) "$(wc -l <foreign/scores.csv)" "lines of scores.csv"
expect_equal "set,index,name,quantile,one-tailed,typicality,complexity,latent,latent-mean,states,entropy,max-posterior" \
  "$(head -1 foreign/scores.csv)" scores.csv
# The headline is that of pal-evaluate.
succeeds pal-evaluate run --ood noise --json -q
auc=$(awk -F, '$1 == "noise" && $4 == "quantile" && $5 == "test" { print $7 }' foreign/detection.csv)
expect_text "\"test\":\"quantile\",\"auc\":${auc:0:14}" out "pal-evaluate --ood"

# The same bytes at any number of threads, and once more.
for threads in 1 2; do
  succeeds pal-ood run --against noise synthetic:9:64:8 --json -q --threads $threads -o threads$threads
  mv out json$threads
  expect_empty err -q
done
expect_same json1 json2
expect_same threads1/scores.csv threads2/scores.csv
for text in '"reference":824' '"quantile":{"against_test":{"auc":' '"fpr95_foreign_positive":' \
  '"fpr95_familiar_positive":' '"auc_standard_error":' '"against_training":'; do
  expect_text "$text" json1 --json
done

# Fewer images, other ones by the seed, and only some scores.
succeeds pal-ood run --against noise --reference 100 --images 50 --scores entropy,states --json -q
expect_text '"images":50,"reference":100' out --reference
expect_text '"scores":["entropy","states"]' out --scores
mv out first
succeeds pal-ood run --against noise --reference 100 --images 50 --scores entropy,states --json -q \
  --seed 3
expect_not "--seed moves the reference" cmp -s out first

# A calibration brings familiarity.
succeeds pal-evaluate run --calibrate -q
succeeds pal-ood run --against noise
expect_text familiarity out --calibrate

# The model's own images, found out.
succeeds pal-ood run --against synthetic:4:1024:8
expect_text "the model's own images, not foreign ones" err "own images"
expect_match "^synthetic:4:1024:8  *256  *50.00 " out "own images: AUC 50"

# Suites: groups and their means; paths beside the file.
mkdir suites && cp two-images-idx3-ubyte suites/file
cat >suites/suite.toml <<'END'
[far]
sets = ["noise", "file"]
[near]
sets = ["hflip"]
END
succeeds pal-ood run --suite suites/suite.toml --against constant -o grouped
expect_equal "hflip noise file constant mean-of-near mean-of-far" \
  "$(sed -n '/^all scores/,$p' out | tail -n +3 | sed 's/mean of /mean-of-/' | awk '{ print $1 }' | xargs)" \
  "order of a suite"
expect_text "mean of far,far,258,quantile,test,256," grouped/detection.csv --suite
echo '[nearer]' >bad.toml
refuses 2 "--suite: bad.toml:1: nearer: unknown section; did you mean [near]?" pal-ood run --suite bad.toml
echo '[near]' >bad.toml
refuses 2 "expected a section that holds sets" pal-ood run --suite bad.toml
echo 'near' >bad.toml
refuses 2 "--suite: bad.toml:1:" pal-ood run --suite bad.toml
refuses 3 "absent.toml" pal-ood run --suite absent.toml

# Classes that a model was trained without.
succeeds pal-ood without --against "heldout:stripes 1,stripes 3" "heldout:stripes 3"
expect_text "32 test images of synthetic:4:256:8" out "test images without held-out classes"
expect_match "^heldout:stripes 1,stripes 3  *32 " out heldout
expect_match "^heldout:stripes 3  *16 " out heldout
succeeds pal-evaluate without --json -q
expect_text '"images":32' out "pal-evaluate without held-out classes"
succeeds pal-train --resume without --max-steps 3 --progress never -q
refuses 2 "was trained with 'stripes 2'; it was trained without stripes 1, stripes 3" \
  pal-ood without --against "heldout:stripes 2"
refuses 2 "did you mean stripes 1?" pal-ood without --against "heldout:strips 1"
refuses 2 "was trained on all classes of its set" pal-ood run --against "heldout:stripes 2"
refuses 2 "has no class 'strips 1'; did you mean 'stripes 1'?" pal-train \
  --dataset synthetic:4:256:8 "${flow[@]}" "${tiny[@]}" -o x --exclude-classes "strips 1"
refuses 2 "all of its classes are left out" pal-train --dataset synthetic:2:256:8 "${flow[@]}" \
  "${tiny[@]}" -o x --exclude-classes "stripes 0,stripes 1"

# A network that only classifies has two scores.
succeeds pal-ood resnet --against noise synthetic:9:64:16:3 -o classifier
expect_text "max-posterior, %" out "a ResNet"
expect_text "classifies only" out "a ResNet"
expect_equal "roc_1_noise.svg roc_2_synthetic_9_64_16_3.svg" \
  "$(cd classifier && ls ./*.svg | sed 's|./||' | xargs)" "pictures of a ResNet"
# Pictures of a folder, with or without class folders; those that are broken are left out if wished.
make_pictures photos 2 4 20 16
mkdir flat && cp "photos/train/class 0"/* flat
succeeds pal-ood resnet --against flat photos/train -o classifier
expect_equal "$(ls flat | wc -l)" "$(grep -c '^flat,' classifier/scores.csv)" "pictures of a folder"
expect_match "^train  *8 " out "pictures in class folders"
echo broken >flat/broken.png
refuses 3 "flat/broken.png" pal-ood resnet --against flat
succeeds pal-ood resnet --against flat --bad-images skip --bad-images-max 0.5
expect_text "left out: flat/broken.png" err --bad-images
refuses 2 "--scores: quantile: resnet/checkpoints/" pal-ood resnet --against noise --scores quantile

# What is wrong.
head -c 100 two-images-idx3-ubyte >cut-images
printf '\0\0\10\3\0\0\0\0\0\0\0\10\0\0\0\10' >no-images
mkdir empty nothing && mkdir nothing/a nothing/b
refuses 2 "CHECKPOINT: none is given" pal-ood --against noise
refuses 2 "--against: no foreign set is given" pal-ood run
refuses 2 "--against: noise is given twice" pal-ood run --against noise noise
refuses 2 "--against: invertd: no such set; did you mean inverted?" pal-ood run --against invertd
refuses 3 "did you mean digits?" pal-ood run --against digit
refuses 3 "--against: cut-images" pal-ood run --against cut-images
refuses 3 "--against: no-images" pal-ood run --against no-images
refuses 2 "--against: empty: no .png, .jpg or .jpeg file in it" pal-ood run --against empty
refuses 2 "--against: nothing: no .png" pal-ood run --against nothing
refuses 2 "has 12x12" pal-ood run --against synthetic:4:16:12
refuses 2 "--scores: no score is called 'quantil'; did you mean quantile?" \
  pal-ood run --against noise --scores quantil
refuses 2 "--scores: familiarity: without/checkpoints/" pal-ood without --against noise \
  --scores familiarity
refuses 2 "--reference: expected" pal-ood run --against noise --reference 1
refuses 2 "unknown option; use --against" pal-ood run --ood noise
refuses 4 "json1" pal-ood run --against noise -o json1
refuses 3 "absent" pal-ood absent --against noise

refuses 2 "--scores: quantile is named twice" pal-ood run --against noise --scores quantile,quantile
make_pictures foreign 2 8 8 8
cp -r foreign/val test
succeeds pal-ood run --against test --images 4 --threads 1 -q
expect_match "^foreign test " out "a set that is called as tables call the model's own"
refuses 2 "--exclude-classes: stripes 1 is named twice" pal-train --dataset synthetic:4:256:8 \
  "${flow[@]}" "${tiny[@]}" --exclude-classes "stripes 1,stripes 1" -o never
echo >a_file
refuses 4 "-o: a_file: a file; name a folder" pal-ood run --against noise -o a_file
finish_test "pal-ood behaves"
