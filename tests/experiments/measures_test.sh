#!/usr/bin/env bash
# Usage: measures_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-evaluate and pal-info on a tiny model that pal-train has just made: what they print and write,
# that repetition gives the same bytes, and one error line with the right exit code for whatever is
# wrong.
source "$(dirname "$0")/harness.sh" "$@"
seconds=120

# refuses_quietly CODE TEXT PROGRAM ARGUMENTS: nothing on stdout, too.
refuses_quietly() {
  refuses "$@"
  expect_empty out "${*:3}"
}

# value KEY: a number of the JSON answer's top level.
value() { sed 's/.*"'"$1"'":\([-0-9.e+]*\).*/\1/' out; }

is_number() { grep -qE '^-?[0-9.]+(e[-+]?[0-9]+)?$' <<<"$1"; }

# without_cost: the answer without what depends on the machine.
without_cost() { sed 's/"images_per_s":[^,}]*//g; s/"peak_bytes":[^,}]*//g' out; }

succeeds pal-train --dataset synthetic:4:256:8 --blocks 1,1 --widths 8,8 -b 32 --epochs 1 \
  --max-steps 2 --recalibrate-bn 2 --checkpoint-every 2 -o run --progress never -q
model=run/checkpoints/step-2.safetensors
expect "no checkpoint in $(find run)" [ -e "$model" ]
[ -e "$model" ] # what follows would fail as a whole

# pal-evaluate
succeeds pal-evaluate "$model" --ood synthetic:9:64:8 --recalibrate-bn 3 --baseline \
  --save-outputs images.csv
expect_not "top-5 of four classes" grep -q "top-5" out
for text in "top-1 %" "bits/dim" "top-label ECE %" "insufficient" "quantile" \
  "231 training images" "independent Gaussians"; do
  expect_text "$text" out pal-evaluate
done
expect_lines 65 images.csv --save-outputs
# Several foreign sets, made of the images themselves too, and a file of images alone.
printf '\0\0\10\3\0\0\0\2\0\0\0\10\0\0\0\10' >two-images-idx3-ubyte
head -c 128 /dev/zero >>two-images-idx3-ubyte
succeeds pal-evaluate "$model" --ood inverted --ood constant --ood two-images-idx3-ubyte --figures plots
for text in "inverted" "constant" "two-images-idx3-ubyte" "classwise ECE %" "AURC %"; do
  expect_text "$text" out "several --ood"
done
expect_not "no calibration, yet familiarity" grep -q familiarity out
for file in calibration.svg risk.svg calibration_1.csv risk_1.csv density_1.svg fig2.svg; do
  expect "--figures: no $file" [ -s plots/$file ]
done
expect_lines 65 plots/risk_1.csv "--figures"
for table in table2 table6; do
  expect_lines 2 plots/$table.csv "--figures"
  expect_equal 1 "$(awk -F, '{ print NF }' plots/$table.csv | sort -u | wc -l)" "$table.csv: as many fields in each line"
done
# The paper's figures beside ours: of beta 1, which this model has.
expect_not "published figures unasked" grep -q published plots/table2.csv
succeeds pal-evaluate "$model" --published --figures plots
expect_text "published: of ImageNet at 224 x 224, ten crops" out --published
expect_text "here of synthetic:4:256:8, one crop" out "--published: of which images"
expect_match "bits_paper,loss_x_published,ce_published" plots/table2.csv "--published"
expect_match ",-1.9,1.61,4.34,0.673,3.87$" plots/table2.csv "--published: beta 1"
expect_match ",0.0016,0.0554,3.87$" plots/table6.csv "--published: beta 1"
succeeds pal-evaluate "$model" --published --json --beta 1
expect_text '"published":{"images":"ImageNet' out "--published --json"
refuses_quietly 2 "--beta: $model was trained with 1, not 4" pal-evaluate "$model" --beta 4
refuses_quietly 2 "--beta: $model was trained with 1, not inf" pal-evaluate "$model" "$model" --beta 1,inf
refuses_quietly 2 "--beta: expected numbers of at least 0" pal-evaluate "$model" --beta -1
refuses_quietly 2 "--beta: expected one for each of 1 checkpoints, got 2" pal-evaluate "$model" --beta 1,4
succeeds pal-train --dataset synthetic:4:256:8 --blocks 1,1 --widths 8,8 -b 32 --beta 3 \
  --max-steps 1 --recalibrate-bn 0 -o three --progress never -q
refuses_quietly 2 "and of a ResNet; here beta is 3" pal-evaluate three --published
succeeds pal-evaluate three run --published --figures plots
expect_match ",,,,,$" plots/table2.csv "--published: beta 3 has no row"
head -c 100 two-images-idx3-ubyte >cut-images
refuses_quietly 3 "--ood: cut-images" pal-evaluate "$model" --ood cut-images
refuses_quietly 2 "goes with one --ood" pal-evaluate "$model" --ood digits --ood noise --ood-folder .
succeeds pal-evaluate "$model" --json -q
expect_empty err -q
for key in acc1 acc5 loss_x loss_y ce bits_per_dim bits_per_dim_standard_error ece images; do
  expect "--json: no number $key" is_number "$(value "$key")"
done
acc1=$(value acc1)
without_cost >all_threads
succeeds pal-evaluate "$model" --json -q --threads 1
without_cost >one_thread
expect_same all_threads one_thread
succeeds pal-evaluate "$model" --save-outputs images.csv -q
right=$(awk -F, 'NR > 1 && $3 == $5 { n++ } END { print n / (NR - 1) }' images.csv)
expect_equal "$acc1" "$right" "saved predictions that are right"
succeeds pal-evaluate "$model" "$model" --json -q --split train -b 33
expect_equal "[" "$(head -c 1 out)" "two checkpoints: an array"
expect_equal 2 "$(grep -c '"images":256' out || true)" "two checkpoints: evaluations"

echo '{"train_seconds": 3}' >summary.json
succeeds pal-evaluate "$model" -q --summary summary.json
expect_text '"train_seconds": 3' summary.json --summary
expect_text '"bits_per_dim"' summary.json --summary
echo 'no' >summary.json
refuses_quietly 3 "error: summary.json" pal-evaluate "$model" -q --summary summary.json
refuses_quietly 3 "no such file" pal-evaluate absent
head -c 3000 "$model" >cut
refuses_quietly 3 "error: cut" pal-evaluate cut
refuses_quietly 2 "8x8 with 1 channel(s), but synthetic:4:16:12 has 12x12" \
  pal-evaluate "$model" --dataset synthetic:4:16:12
refuses_quietly 2 "made for 4 classes (stripes 0, stripes 1, stripes 2, stripes 3), but synthetic:6:16:8 has 6 classes" \
  pal-evaluate "$model" --dataset synthetic:6:16:8
refuses_quietly 2 "has 12x12" pal-evaluate "$model" --ood synthetic:4:16:12 -q
refuses_quietly 3 "neither a data set" pal-evaluate "$model" --dataset absent
refuses_quietly 2 "did you mean --split?" pal-evaluate "$model" --splt test
refuses_quietly 2 "--split: expected" pal-evaluate "$model" --split validation
refuses_quietly 2 "--batch-size" pal-evaluate "$model" -b 0
refuses_quietly 2 "tf32" pal-evaluate "$model" --precision tf32
refuses_quietly 2 "--dct-log-det" pal-evaluate "$model" --dct-log-det false
refuses_quietly 2 "--save-outputs: one checkpoint at a time" \
  pal-evaluate "$model" "$model" --save-outputs x.csv
refuses_quietly 2 "--save-latents: one checkpoint at a time" \
  pal-evaluate "$model" "$model" --save-latents x.safetensors
refuses_quietly 4 "would exceed the limit" pal-evaluate "$model" --memory-limit 20kB -q
refuses_quietly 4 "absent/x.csv" pal-evaluate "$model" -q --save-outputs absent/x.csv
refuses_quietly 2 "CHECKPOINT" pal-evaluate

# pal-info
succeeds pal-info -a ibinn-imagenet --json
for text in '"parameters_network":55412304,' '"parameters_head":22074368,' \
  '"parameters_total":77486672,' '"receptive_field":538' \
  '"multiply_adds":6916661248,' '"multiply_adds_dense_mixing":2227212288,' \
  '"activation_bytes":{"store":'; do
  expect_text "$text" out ibinn-imagenet
done
succeeds pal-info -a ibinn-imagenet -b 4
for text in 55,412,304 9,143,873,536 "blocks.20 DCT pooling" "s_hi.5 conv 3x3/2" "batch 4"; do
  expect_text "$text" out ibinn-imagenet
done
expect_not "the paper's figures unasked" grep -q "9.08 G" out
succeeds pal-info -a ibinn-imagenet --published --tables paper/tables
expect_text "9.08 G" out --published
expect_text "stage 4,7,3072,3,538,538,7,2048,3,426,426" paper/tables/table1.csv --tables
expect_text "parameters_total,77486672,77500000,25557032,25600000" paper/tables/table5.csv --tables
succeeds pal-info -a ibinn-small --tables paper/tables --json
expect_text "stage 3,4,192,4,425,4,128,4,214" paper/tables/table1.csv "--tables: beside resnet-small"
succeeds pal-info -a ibinn-mnist --tables paper/tables
expect_text "head,1,784,,all" paper/tables/table1.csv "--tables: nothing to compare with"
expect_equal "table1.csv table5.csv" "$(ls paper/tables | xargs)" "what --tables leaves"
refuses_quietly 2 "--published: the paper has figures of ibinn-imagenet and resnet50" \
  pal-info -a ibinn-small --published
refuses_quietly 2 "--published: adds columns to tables" pal-info -a resnet50 --published --json
refuses_quietly 4 "images.csv" pal-info -a resnet50 --tables images.csv
succeeds pal-info -a resnet50 --json
for text in '"parameters_network":23508032,' '"parameters_total":25557032,' \
  '"multiply_adds":4089184256,' '"activation_bytes":{"store":'; do
  expect_text "$text" out resnet50
done
succeeds pal-info -a resnet50
for text in 25,557,032 "layer2.0 bottleneck" "branch.conv2 conv 3x3/2" recompute; do
  expect_text "$text" out resnet50
done
# No memory for parameters is allocated.
address_space=1500000
succeeds pal-info -a ibinn-imagenet --set classes=3000
address_space=
succeeds pal-info "$model"
expect_text "class means" out pal-info
succeeds pal-info "$model" --set widths=16,16 --flavour paper --json
expect_text '"widths":[16,16]' out --set
succeeds pal-info run
expect_text "class means" out "pal-info of a run folder"
succeeds pal-info -a ibinn-small --blocks 1,1,1 --widths 8,8,8 --image-size 64 --json
for text in '"blocks":[1,1,1]' '"widths":[8,8,8]' '"image-size":64'; do
  expect_text "$text" out "the options of pal-train"
done
link=(--step-seconds 8 --bandwidth 1.25GB --latency 5e-5)
succeeds pal-info -a ibinn-imagenet -b 4 --ranks 1,2,8 "${link[@]}"
for text in "complete after" "8 ranks: done, ms" "gradients 70,933,072 to 77,486,672" \
  "running statistics" "100.0 %"; do
  expect_text "$text" out --ranks
done
succeeds pal-info -a resnet-small --ranks 2 "${link[@]}" --bucket-precision bf16 --json
for text in '"rank_plan":' '"bucket_precision":"bf16"' '"complete_after":null' '"exposed_seconds":'; do
  expect_text "$text" out "--ranks --json"
done
refuses_quietly 2 "--ranks: needs --step-seconds too" pal-info -a ibinn-small --ranks 2
refuses_quietly 2 "--ranks: expected" pal-info -a ibinn-small --ranks 2,0 "${link[@]}"
refuses_quietly 2 "--bandwidth: expected more than 0" \
  pal-info -a ibinn-small --ranks 2 --step-seconds 8 --bandwidth 0 --latency 0
refuses_quietly 2 "--latency: expected" \
  pal-info -a ibinn-small --ranks 2 --step-seconds 8 --bandwidth 1GB --latency -1
refuses_quietly 2 "--bucket: 3 bytes hold no number" \
  pal-info -a ibinn-small --ranks 2 "${link[@]}" --bucket 3
refuses_quietly 2 "did you mean --blocks?" pal-info -a ibinn-small --blcks 1,1,1
refuses_quietly 2 "both a CHECKPOINT ($model) and --arch (ibinn-small)" \
  pal-info "$model" -a ibinn-small
refuses_quietly 2 "error: --mixing" pal-info -a ibinn-small --mixing shuffled
echo 'lr = 0.1 # a TOML file' >ok.toml
refuses_quietly 3 "error: ok.toml: not a safetensors checkpoint" pal-info ok.toml
refuses_quietly 2 "no CHECKPOINT and no --arch" pal-info
refuses_quietly 2 "expected ibinn-imagenet" pal-info -a resnet
refuses_quietly 2 "did you mean image-size?" pal-info -a ibinn-mnist --set imagesize=32
refuses_quietly 2 "the nearest sizes are 28 and 32" pal-info -a ibinn-mnist --set image-size=30
refuses_quietly 3 "error: cut" pal-info cut

finish_test "the programs behave"
