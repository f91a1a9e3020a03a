#!/usr/bin/env bash
# Usage: sample_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-sample on tiny models that pal-train has just made, one of a set in memory and one of a folder:
# which pictures it shows, what it says of them, sizes of the sheets, that repetition gives the same
# bytes, and one error line with the right exit code for whatever is wrong.
source "$(dirname "$0")/harness.sh" "$@"

# refuses_quietly CODE TEXT PROGRAM ARGUMENTS: nothing on stdout, too.
refuses_quietly() {
  refuses "$@"
  expect_empty out "${*:3}"
}

# expect_size WIDTH HEIGHT FILE
expect_size() {
  succeeds pal-inspect --json "$3"
  expect_text "\"width\":$1,\"height\":$2," out "$3"
}

# value KEY: a number of the JSON answer's top level.
value() { sed 's/.*"'"$1"'":\([-0-9.e+]*\).*/\1/' out; }

succeeds pal-train --dataset synthetic:4:256:8 --blocks 1,1 --widths 8,8 -b 32 --epochs 1 \
  --max-steps 2 --recalibrate-bn 2 --checkpoint-every 2 -o run --progress never -q
model=run/checkpoints/step-2.safetensors
expect "no checkpoint in $(find run)" [ -e "$model" ]
[ -e "$model" ] # what follows would fail as a whole

# Samples.
succeeds pal-sample "$model" -o all.png -n 3 --seed 5
expect_text "12 pictures in all.png" out samples
expect_text "rows: 0 stripes 0, 1 stripes 1, 2 stripes 2, 3 stripes 3" out samples
# 3 x 4 pictures of 8 pixels, 12 times as large, 2 between; titles of 9 letters, margins, a headline.
expect_size 370 423 all.png
succeeds pal-sample "$model" -o again.png -n 3 --seed 5 --threads 1
expect_same all.png again.png
succeeds pal-sample "$model" -o other.png -n 3 --seed 6
expect_not "pal-sample: unequal seeds, equal pictures" cmp -s all.png other.png
succeeds pal-sample "$model" -o two.PNG -n 1 --class "stripes 2" --class 1 --json
expect_text '"classes":[2,1]' out --class
expect_text '"rows":["stripes 2","stripes 1"]' out --class
for scale in 1 4; do
  succeeds pal-sample "$model" -o bare.png -n 3 --labels false --scale $scale
  expect_size $((24 * scale + 4)) $((32 * scale + 6)) bare.png
done

# Reconstructions: one image of each class in turn. Synthetic sets have their classes in order.
succeeds pal-sample "$model" -o pairs.png --reconstruct 7 -n 4 --labels false --scale 1
expect_text "inversion error of 7 images: max" out --reconstruct
expect_text "rows: original and rebuilt in turn" out --reconstruct
expect_match "^test images: [0-9]* stripes 0, [0-9]* stripes 1, [0-9]* stripes 2, [0-9]* stripes 3, [0-9]* stripes 0" \
  out --reconstruct
expect_size 38 38 pairs.png
succeeds pal-sample "$model" -o pairs.png --reconstruct 7 --json
expect "max_error: $(cat out)" awk -v e="$(value max_error)" 'BEGIN { exit !(e > 0 && e < 1e-3) }'
expect_text '"rows":["original","rebuilt"]' out --reconstruct
succeeds pal-sample "$model" -o chosen.png --images 9,63,2 --json
expect_text '"test_images":[9,63,2]' out --images
expect_text '"images":6,' out --images

# A line between two images.
succeeds pal-sample "$model" -o line.png --interpolate 0 63 -n 6 --labels false --scale 1
expect_match "^row: from 0 stripes [0-3] to 63 stripes [0-3]$" out --interpolate
expect_size 58 8 line.png

# Images of one class moved to another: 3 x 2 pictures of 8 pixels, 2 between, the original 24 apart.
succeeds pal-sample "$model" -o morph.png --morph "stripes 1" 3 -n 2 --steps 2 --labels false --scale 1
expect_match "^image [0-9]*: stripes 1: t 0 stripes [0-3] [0-9.]* %, t 1 stripes [0-3] [0-9.]* %$" out --morph
expect_match "^at t = 1 the model takes [0-2] of 2 for stripes 3$" out --morph
expect_match "^4 pictures in morph.png$" out --morph
expect_size 52 18 morph.png
succeeds pal-sample "$model" -o morph.png --morph 1 3 --json
expect_match '^{"classes":\[1,3\],"around":"images","t":\[0.0,0.25,0.5,0.75,1.0\],"test_images":\[[0-9]*\],' out --morph
expect_match '"original":{"answer":"stripes [0-3]","probability":[0-9.]*,"probability_from":[-0-9.e]*,' out --morph
expect_match '"images":5,"output":"morph.png","rows":\["image [0-9]*: stripes 1"\]}$' out --morph
succeeds pal-sample "$model" -o morph2.png --morph "stripes 1" "stripes 3" --json --threads 1
expect_same morph.png morph2.png
succeeds pal-sample "$model" -o means.png --morph 1 3 --around means --json
expect_text '"around":"means"' out "--morph between the model's means"
expect_not "--morph --around: equal pictures" cmp -s morph.png means.png
succeeds pal-sample "$model" -o far.png --morph 0 1 --images 0,63 --steps 4 --reach 1.5 --json
expect_text '"t":[0.0,0.5,1.0,1.5],"test_images":[0,63],' out "--morph of named images"
expect_match "warning.*--morph: image 63 is of class 'stripes [1-3]', not 'stripes 0'" err "another class"

# Several temperatures: the blocks are what each of them gives alone, 24 apart.
for t in 0.5 1; do succeeds pal-sample "$model" -o t$t.png -n 2 --temperature $t; done
succeeds pal-sample "$model" -o both.png -n 2 --temperature 0.5,1 --json
expect_text '"around":"images","temperatures":[0.5,1.0],"images":16,' out "two temperatures"
succeeds pal-sample "$model" -o again.png -n 2 --temperature 0.5 1.0
expect_text "columns: 2 samples at each of the temperatures 0.5, 1" out "two temperatures"
expect_same both.png again.png
succeeds pal-sample "$model" -o both.png -n 2 --temperature 0.5,1 --labels false --scale 1 --real 1
expect_size $((5 * 10 - 2 + 2 * 24)) 38 both.png
succeeds pal-sample "$model" -o given.png -n 2 --temperature 0.7
succeeds pal-sample "$model" -o none.png -n 2
expect_same given.png none.png

# Pictures of a folder, whose classes have names of all sorts.
make_pictures set 3 16 20 16
for part in train val; do
  mv "set/$part/class 0" "set/$part/Würfel"
  mv "set/$part/class 1" "set/$part/red circles"
done
succeeds pal-train set -a ibinn-small --image-size 16 --blocks 1,1,1 --widths 8,8,8 --recalibrate-bn 2 \
  -b 16 --epochs 1 --threads 1 -o folder --progress never -q
best=folder/checkpoints/best
succeeds pal-sample $best -n 2 -o s.png
expect_text "rows: 0 Würfel, 1 class 2, 2 red circles" out "classes of a folder"
succeeds pal-sample $best set --reconstruct 4 -o r.png
expect_text "test images: 0 Würfel, 4 class 2, 8 red circles, 1 Würfel" out "classes of a folder"
first=$(ls set/val/Würfel | head -n 1)
succeeds pal-sample $best set --images "Würfel/$first,set/val/Würfel/$first,11" --reconstruct 3 -o r.png --json
expect_text '"test_images":[0,0,11]' out "images by name"
succeeds pal-sample $best --dataset set --interpolate 11 "Würfel/$first" -n 2 -o i.png
expect_text "row: from 11 red circles to 0 Würfel" out "images by name"
refuses 2 "has no test image 'Würfel/no.jpg'" pal-sample $best set --images Würfel/no.jpg
succeeds pal-sample $best --reconstruct 2 -o own.png
cp -L $best alone.safetensors
refuses 2 "name the folder" pal-sample alone.safetensors --reconstruct 2
refuses 3 "expected at most 160" pal-sample $best set --reconstruct 2 --max-pixels 10

# What is wrong.
refuses_quietly 2 "the model has classes 0 to 3, got 4" pal-sample "$model" --class 4
refuses_quietly 2 "did you mean 'stripes 2'?" pal-sample "$model" --class "strpes 2"
refuses_quietly 2 "--interpolate: synthetic:4:256:8 has test images 0 to 63, got 64" \
  pal-sample "$model" --interpolate 0 64
refuses_quietly 2 "--interpolate: does not go with" pal-sample "$model" --interpolate 0 1 --reconstruct 2
refuses_quietly 2 "--interpolate: does not go with" pal-sample "$model" --interpolate 0 1 --images 2
refuses_quietly 2 "--temperature" pal-sample "$model" --temperature nan
refuses_quietly 2 "64 test images, got 65" pal-sample "$model" --reconstruct 65
refuses_quietly 2 "names 2 images, but --reconstruct wants 3" \
  pal-sample "$model" --images 1,2 --reconstruct 3
refuses_quietly 2 "with commas between" pal-sample "$model" --images 1,,2
refuses_quietly 2 "--temperature: names 0.5 twice" pal-sample "$model" --temperature 0.5,1,0.5
refuses_quietly 2 "--temperature" pal-sample "$model" --temperature 0.5,-1
refuses_quietly 2 "--temperature: goes with samples" pal-sample "$model" --temperature 1 --reconstruct 2
refuses_quietly 2 "--temperature: goes with samples" pal-sample "$model" --temperature 1 --morph 0 1
refuses_quietly 2 "looks at samples of one temperature" \
  pal-sample "$model" --temperature 0.5,1 --judge "$model"
refuses_quietly 2 "--morph" pal-sample "$model" --morph 0
refuses_quietly 2 "--morph: expected two classes, once" pal-sample "$model" --morph 0 1 --morph 1 2
refuses_quietly 2 "--morph: from class 'stripes 2' to itself" pal-sample "$model" --morph 2 "stripes 2"
refuses_quietly 2 "--morph: the model has classes 0 to 3, got 4" pal-sample "$model" --morph 0 4
refuses_quietly 2 "did you mean 'stripes 2'?" pal-sample "$model" --morph "strpes 2" 1
refuses_quietly 2 "--morph names its two classes itself" pal-sample "$model" --morph 0 1 --class 2
refuses_quietly 2 "--morph: does not go with" pal-sample "$model" --morph 0 1 --reconstruct 2
refuses_quietly 2 "--morph: does not go with" pal-sample "$model" --morph 0 1 --interpolate 0 1
refuses_quietly 2 "--real: goes with samples" pal-sample "$model" --morph 0 1 --real 2
refuses_quietly 2 "--judge: looks at samples" pal-sample "$model" --morph 0 1 --judge "$model"
refuses_quietly 2 "names 2 images, but -n wants 3" pal-sample "$model" --morph 0 1 --images 1,2 -n 3
refuses_quietly 2 "--morph: synthetic:4:256:8 has" pal-sample "$model" --morph 0 1 -n 64
refuses_quietly 2 "--steps: goes with --morph" pal-sample "$model" --steps 3 --interpolate 0 1
refuses_quietly 2 "--reach: goes with --morph" pal-sample "$model" --reach 2
refuses_quietly 2 "--steps: expected" pal-sample "$model" --morph 0 1 --steps 1
refuses_quietly 2 "--reach: expected" pal-sample "$model" --morph 0 1 --reach 0
refuses_quietly 2 "not test images" pal-sample "$model" --class 1 --reconstruct 3
refuses_quietly 2 "set: samples around means need no data" pal-sample "$model" set --around means
refuses_quietly 2 "--scale: expected a whole number from 1 to 16, or auto" pal-sample "$model" --scale 17
refuses_quietly 2 "--scale: expected a whole number from 1 to 16, or auto" pal-sample "$model" --scale 2x
refuses_quietly 2 "lower --scale or -n" pal-sample "$model" -n 25000 --scale 16
refuses_quietly 3 "no such file" pal-sample absent
head -c 3000 "$model" >cut
refuses_quietly 3 "error: cut" pal-sample cut

# The output is looked at before the model.
for output in run run/; do
  refuses_quietly 2 "-o: $output is a folder; name a PNG file in it, such as run/samples.png" \
    pal-sample absent -o $output
done
refuses_quietly 2 "-o: x.jpg: pictures are written as PNG; name the file x.png" \
  pal-sample absent -o x.jpg
refuses_quietly 2 "name the file run/x.png" pal-sample absent -o run/x
refuses_quietly 4 "absent/x.png: there is no folder absent" pal-sample absent -o absent/x.png
refuses_quietly 4 "there is no folder cut" pal-sample absent -o cut/x.png

# Test images beside samples, and what another model takes samples for.
succeeds pal-train --dataset synthetic:4:256:8 -a resnet-small --blocks 1,1,1 --widths 8,8,8 -b 32 \
  --epochs 1 --max-steps 3 -o judge --progress never -q
succeeds pal-sample run -n 2 --real 3 --scale 1 -o beside.png
expect_match "^8 pictures in beside.png$" out "only samples are counted"
succeeds pal-sample run -n 2 --scale 1 --no-labels -o alone.png
succeeds pal-sample run -n 2 --real 3 --scale 1 --no-labels -o beside.png
expect_size 18 38 alone.png
expect_size 72 38 beside.png
succeeds pal-sample run -n 1 --judge judge --judged 41 -o judged.png
expect_match "^class  *samples  *as asked, %  *mostly else  *%  *test images right, %$" out "the table"
expect_match "^all  *41  *[0-9.]*  *[0-9.]*$" out "its last line"
succeeds pal-sample run -n 1 --judge judge --judged 40 --json -o judged.png
expect_match '"judge":{"judge":"judge/checkpoints/[a-z-]*.*","samples":40,"as_asked":[0-9.]*,' out "JSON"
cp out first
succeeds pal-sample run -n 1 --judge judge --judged 40 --json -o judged.png
expect_same first out
succeeds pal-sample run -n 2 --around means --json -o means.png
expect_text '"around":"means"' out "JSON"
succeeds pal-sample run -n 2 --json -o around.png
expect_text '"around":"images"' out "JSON"
expect_not "samples around images are those around means" cmp -s around.png means.png
succeeds pal-sample run -n 2 --around images --judge judge --judged 20 -o again.png
expect_same around.png again.png
refuses_quietly 2 "--real: goes with samples" pal-sample run --real 2 --reconstruct 2
refuses_quietly 2 "--judge: looks at samples" pal-sample run --judge judge --reconstruct 2
refuses_quietly 2 "--around: says where samples are drawn" pal-sample run --around images --reconstruct 2
refuses_quietly 3 "nobody: no such" pal-sample run --judge nobody
refuses_quietly 2 "only classifies" pal-sample judge --morph 0 1
refuses_quietly 2 "test images of class" pal-sample run --real 999

finish_test "pal-sample behaves"
