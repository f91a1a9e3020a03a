#!/usr/bin/env bash
# Usage: robustness_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-robustness: corrupted images in memory and from trees, going on after a stop, what is refused.
source "$(dirname "$0")/harness.sh" "$@"

succeeds pal-train $tiny --threads 1 --max-steps 30 -o flow --quiet
succeeds pal-train $tiny --beta 0 --threads 1 --max-steps 10 -o density --quiet
succeeds pal-train $tiny -a resnet-small --threads 1 --max-steps 30 -o net --quiet
study() {
  succeeds pal-robustness "$@" --corruptions fog,contrast,frost --severities 1,3 -n 48 --threads 1 -q
}

study flow net -o grid
expect_match "^fog  *[0-9.]* .* -$" out "Table 3: a ResNet has no density"
expect_text "frost (texture)" out "frost without photographs"
expect_text "mean of 3" out "means say what they are over"
expect_lines 13 grid/corruptions.csv "corruptions.csv"
expect_match "^fog,[0-9.]*,$" grid/table3.csv "table3.csv"
expect_text "<svg" grid/table3.svg "table3.svg"
expect "errors of a network, of two severities" test ! -e grid/errors/net.csv
expect_equal 15 "$(find grid/cells -name '*.safetensors' | wc -l)" "cells"

# What was stopped goes on and gives the same; other models come to it.
cp out first
cp -r grid before
rm grid/cells/*/fog-3.safetensors
study flow net -o grid
expect_same first out
for file in corruptions.csv table3.csv means.csv table3.svg robustness.json; do
  expect_same before/$file grid/$file
done
for cell in before/cells/*/*.safetensors; do expect_same "$cell" "grid${cell#before}"; done
study flow net density -o grid
expect_match "^fog  *[0-9.]* .* - .*[0-9]" out "another model"
expect_match "^density  *48  *-  *-  *-" out "errors of beta 0, which has no classes"
# The same at another number of threads, in other batches and without a folder.
study flow net
expect_same first out
succeeds pal-robustness flow net --corruptions fog,contrast,frost --severities 1,3 -n 48 --threads 2 -b 7 -q
expect_same first out
# A network by whose errors others are measured.
succeeds pal-robustness net --corruptions fog,snow --threads 1 -n 48 -q -o own
succeeds pal-robustness net --corruptions fog,snow --threads 1 -n 48 -q --mce-reference own/errors/net.csv
expect_match "^net .* 100.0 .* 100.0 " out "a network by its own errors"
expect_text "mCE: by the errors of own/errors/net.csv" out "the reference is named"
study flow --json
expect_text '"frost":"texture"' out "--json"

refuses 2 "made with selection" pal-robustness flow --corruptions fog -n 40 -o grid
refuses 2 "made with reading precision as recorded" \
  pal-robustness flow --corruptions fog -n 48 --precision fp32 -o grid
refuses 2 "made with corruption seed 0" pal-robustness flow --corruptions fog -n 48 --seed 1 -o grid
refuses 2 "unknown corruption 'fogg'; did you mean fog?" pal-robustness flow --corruptions fogg
refuses 2 "fog adds nothing" pal-robustness flow --corruptions fog,fog
refuses 2 "--severities" pal-robustness flow --severities 6
refuses 2 "--severities" pal-robustness flow --severities 0
refuses 2 "its errors are means over all five severities" \
  pal-robustness flow --severities 1 --mce-reference alexnet
refuses 3 "absent" pal-robustness flow --mce-reference absent
refuses 2 "saturate: flow/checkpoints/best sees grey images" pal-robustness flow --corruptions fog,saturate
refuses 2 "--count: expected" pal-robustness flow -n 1
succeeds pal-train ${tiny/:512:/:256:} --threads 1 --max-steps 2 -o other --quiet
refuses 2 "name the images for all with --dataset" pal-robustness flow other -n 20
succeeds pal-robustness flow --corruptions extra --severities 1 -n 20 --threads 1
expect_text "without saturate" err "a group without what grey images lack"
refuses 2 "--frost-five: goes with --frost" pal-robustness flow --frost-five
refuses 3 "nowhere: no such folder" pal-robustness flow --tree nowhere
refuses 2 "say how images are corrupted" pal-robustness flow --tree grid --jpeg-quality 85
echo broken >"$(find grid/cells -name 'fog-1.safetensors' | head -n 1)"
refuses 3 "fog-1.safetensors" \
  pal-robustness flow net density --corruptions fog,contrast,frost --severities 1,3 -n 48 -o grid

# A tree as published: the same pictures give the same errors, with a folder for the group or
# without; what is missing or of another size is one line.
make_pictures pictures 3 24 28 28
succeeds pal-train pictures -b 12 --blocks 1,1 --strides 1,2 --widths 8,8 --threads 1 --max-steps 8 \
  --recalibrate-bn 2 -o seen --quiet
tree() { succeeds pal-robustness seen --corruptions fog,contrast --severities 2,5 --threads 1 -q "$@"; }
tree
cp out memory
succeeds pal-corrupt pictures -o corrupted --image-size 28 --channels 1 --format png --corruptions fog,contrast \
  --severities 2,5 -q
tree --tree corrupted
expect_same memory out
mkdir grouped
mkdir grouped/weather grouped/digital
cp -r corrupted/fog grouped/weather
cp -r corrupted/contrast grouped/digital
tree --tree grouped
expect_same memory out
# The clean images are those of the tree, its classes those that are chosen among.
succeeds pal-corrupt pictures -o part --image-size 28 --channels 1 --format png --corruptions fog \
  --severities 2 -n 6 -q
succeeds pal-robustness seen --corruptions fog --severities 2 --tree part --threads 1
expect_match "^seen  *6 " out "the images of the tree"
expect_text "6 of the 18 clean images are those of the tree" err "the images of the tree"
cp -r corrupted lesser
rm -r lesser/*/*/"class 0"
succeeds pal-robustness seen --corruptions fog --severities 2 --tree lesser --threads 1 -o lesser_cells
expect_text "answers are chosen among the tree's 2 of 3 classes" err "the classes of the tree"
# Another tree at the same place is seen, the same one elsewhere is not another.
cp -r lesser moved
succeeds pal-robustness seen --corruptions fog --severities 2 --tree ./moved/ --threads 1 -o lesser_cells
expect_text "all 2 cells were in lesser_cells" err "a tree elsewhere"
picture=$(cd lesser/fog/2 && find . -name '*.png' | LC_ALL=C sort | head -n 1)
cp "corrupted/fog/5/$picture" "lesser/fog/2/$picture"
refuses 2 "made with pictures" \
  pal-robustness seen --corruptions fog --severities 2 --tree lesser -o lesser_cells
mkdir -p other/fog/2
cp -r corrupted/fog/2/*[01] other/fog/2
mv "$(find other/fog/2 -name "*.png" | head -n 1)" "other/fog/2/class 1/unknown.png"
refuses 3 "/unknown: no image of" \
  pal-robustness seen --corruptions fog --severities 2 --tree other
rm -r grouped/weather/fog/5
refuses 3 "no severity 5; it has 2" pal-robustness seen --corruptions fog --severities 2,5 --tree grouped
refuses 3 "no folder snow there or in a group; it has digital, weather" \
  pal-robustness seen --corruptions snow --tree grouped
rm "$(find corrupted/fog/2 -name '*.png' | head -n 1)"
refuses 3 "pictures, where other folders have" \
  pal-robustness seen --corruptions fog --severities 2,5 --tree corrupted
make_pictures small 3 24 9 9
mkdir -p wide/fog
cp -r small/val wide/fog/1
refuses 3 "9 x 9, but the network sees 28 x 28" \
  pal-robustness seen --corruptions fog --severities 1 --tree wide
finish_test "pal-robustness"
